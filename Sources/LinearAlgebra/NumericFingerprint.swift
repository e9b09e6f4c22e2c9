/// What decides the last bits of a result on this machine: another fingerprint may mean other bits.
public struct NumericFingerprint: Sendable, Hashable {
  /// OpenBLAS's version and build, as it says itself.
  public let openBLAS: String
  /// The processor kind whose kernels OpenBLAS uses.
  public let coreType: String
  /// The instruction set this program was compiled for.
  public let architecture: String

  /// This process's fingerprint.
  public static let current = NumericFingerprint(
    openBLAS: OpenBLASLibrary.configuration, coreType: OpenBLASLibrary.coreName,
    architecture: machineArchitecture)

  /// One line for reports and artefacts.
  public var text: String { "\(architecture); \(openBLAS); core type \(coreType)" }

  private static var machineArchitecture: String {
    #if arch(x86_64)
    "x86_64"
    #elseif arch(arm64)
    "arm64"
    #else
    "other"
    #endif
  }
}
