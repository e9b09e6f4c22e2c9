import Architectures
import Checkpoints
import Digests
import Foundation
import RunRecords
import Weights

/// Who runs: the tool's version and the machine's numeric path.
public struct ToolIdentity: Sendable, Hashable {
  public let version: String
  /// BLAS core and version, kernel target.
  public let fingerprint: String

  public init(version: String, fingerprint: String) {
    self.version = version
    self.fingerprint = fingerprint
  }
}

extension RunIdentity {
  /// What the bytes of a plan's output depend on.
  init(plan: Plan, tool: ToolIdentity) {
    var listing = SHA256()
    for tensor in plan.source.tensors {
      listing.update("\(tensor.name)\n\(tensor.dtype.rawValue)\n\(tensor.shape)\n")
    }
    facts = [
      Fact(what: "the tool's version", value: tool.version),
      Fact(what: "the numeric path", value: tool.fingerprint),
      Fact(what: "the recipe", value: "'\(plan.recipe.name)' \(plan.recipe.textHash.prefix(12))"),
      Fact(what: "the model's list of tensors", value: listing.hexadecimal()),
      Fact(what: "the model's file", value: Self.stamp(of: plan.source)),
      Fact(what: "hashing", value: plan.options.hashing ? "on" : "off"),
    ]
    if let calibration = plan.calibration {
      facts.append(Fact(what: "the statistics", value: calibration.hash))
    }
    if let text = plan.calibrationPlan?.text ?? plan.keyValueCalibration?.text {
      let value = "'\(text.provenance)' \(text.hash.prefix(12))"
      facts.append(Fact(what: "the calibration", value: value))
    }
  }

  /// Sizes and times of last change of the files that the model is read from.
  ///
  /// Not of everything in a model's folder: the output and its work folder may lie there too.
  private static func stamp(of source: any TensorSource) -> String {
    var files = Set(source.origin.tensors.compactMap(\.storage.file))
    files.formUnion(source.metadata.companions.values)
    if FileIO.kind(of: source.path) == .file { files.insert(source.path) }
    var stamp = SHA256()
    var bytes = 0
    for file in files.sorted() {
      var status = stat()
      guard stat(file, &status) == 0 else { continue }
      bytes += Int(status.st_size)
      stamp.update("\(status.st_size) \(FileTime.nanoseconds(of: status))\n")
    }
    return "\(bytes) bytes, state \(stamp.hexadecimal().prefix(12))"
  }
}

extension TensorStorage {
  /// The file that the bytes lie in, where it is known.
  var file: String? { if case .contiguous(let file, _) = self { file } else { nil } }
}

/// The time of a file's last change; Linux and macOS name the field differently.
enum FileTime {
  static func nanoseconds(of status: stat) -> Int {
    #if canImport(Darwin)
    let time = status.st_mtimespec
    #else
    let time = status.st_mtim
    #endif
    return Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec)
  }
}

/// What the operating system says of this process.
public enum ProcessMemory {
  /// The largest resident set so far, in bytes.
  ///
  /// Linux's getrusage counts what the process was before it became this program, so that a large
  /// parent would be reported; the kernel's own mark begins with the program.
  public static var peakResidentBytes: Int {
    #if os(Linux)
    if let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({
        Int($0)
      })
    {
      return kibibytes * 1024
    }
    #endif
    var usage = rusage()
    #if canImport(Darwin)
    getrusage(RUSAGE_SELF, &usage)
    return Int(usage.ru_maxrss)
    #else
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Int(usage.ru_maxrss) * 1024
    #endif
  }

  /// The machine's memory in bytes.
  public static var physicalBytes: Int { Int(ProcessInfo.processInfo.physicalMemory) }
}

extension Duration {
  /// The length in seconds.
  public var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}

extension WeightError {
  /// The figures that sums stand for.
  init(_ sums: ErrorSums) {
    self.init(
      relativeFrobenius: sums.relativeFrobenius, signalToNoise: sums.signalToNoiseDecibels,
      maximumAbsolute: Double(sums.maximumAbsolute), cosine: sums.cosine)
  }
}
