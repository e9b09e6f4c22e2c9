import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The choice of OpenBLAS's kernels.
///
/// An OpenBLAS that does not know a processor falls back to Haswell's or Zen's kernels, about half
/// as fast as the AVX-512 ones that the processor may be able to run. It reads `OPENBLAS_CORETYPE`
/// while it is loaded, before any code of ours, so the only way is to set the variable and start
/// the program again. A value set by the user is left alone: it may be there to get the same bits
/// on different machines.
public enum NumericPath {
  static let variable = "OPENBLAS_CORETYPE"
  /// Present in a process that was started again, so that it never happens twice.
  static let marker = "PITH_CORETYPE_CHOSEN"

  /// The core type that would be faster than the one in use; nil when there is none.
  public static func recommendedCoreType() -> String? {
    recommendation(
      coreName: OpenBLASLibrary.coreName, configuration: OpenBLASLibrary.configuration,
      environment: ProcessInfo.processInfo.environment, processorFlags: processorFlags())
  }

  /// Starts the program again with faster kernels where that helps; otherwise returns.
  ///
  /// To be called first thing in `main`: open files and threads do not survive. Does nothing
  /// outside Linux, when the variable is set already, and in a process started by this function.
  public static func reexecuteIfFaster(arguments: [String] = CommandLine.arguments) {
    guard let coreType = recommendedCoreType() else { return }
    reexecute(coreType: coreType, arguments: arguments)
  }

  /// Starts the program again with the kernels of a core type; returns where that is impossible
  /// or has been done before.
  public static func reexecute(
    coreType: String, arguments: [String] = CommandLine.arguments
  ) {
    #if os(Linux)
    guard ProcessInfo.processInfo.environment[marker] == nil else { return }
    let before = ProcessInfo.processInfo.environment[variable]
    setenv(variable, coreType, 1)
    setenv(marker, "1", 1)
    var copies: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    copies.append(nil)
    _ = execv("/proc/self/exe", copies)
    // Only a failure returns: the slower kernels do as well.
    for copy in copies { free(copy) }
    unsetenv(marker)
    if let before { setenv(variable, before, 1) } else { unsetenv(variable) }
    #endif
  }

  /// Takes what a restart has set out of the environment, for child processes that choose for
  /// themselves.
  public static func forgetRestart() {
    guard ProcessInfo.processInfo.environment[marker] != nil else { return }
    unsetenv(marker)
    unsetenv(variable)
  }

  /// The rule itself.
  static func recommendation(
    coreName: String, configuration: String, environment: [String: String],
    processorFlags: Set<String>
  ) -> String? {
    guard environment[variable] == nil, environment[marker] == nil,
      configuration.contains("DYNAMIC_ARCH"), ["Haswell", "Zen"].contains(coreName),
      processorFlags.isSuperset(of: ["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"])
    else { return nil }
    return processorFlags.contains("avx512_bf16") ? "Cooperlake" : "SkylakeX"
  }

  /// The processor's features as Linux names them; empty elsewhere.
  static func processorFlags() -> Set<String> {
    // The first processor's entry is within the first page; the whole file of a big machine takes
    // milliseconds to make.
    guard let file = FileHandle(forReadingAtPath: "/proc/cpuinfo"),
      let head = try? file.read(upToCount: 8192)
    else { return [] }
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\n")
    guard let flags = lines.first(where: { $0.hasPrefix("flags") }) else { return [] }
    return Set(flags.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init))
  }
}
