/// What can go wrong between Pith's artefacts and other tools' files.
public enum InterchangeError: Error, Sendable, Hashable {
  /// The format has no exact place for a weight as it is stored.
  case notExact(tensor: String, format: String, reason: String, nearest: String)
  /// The format cannot hold this model at all.
  case modelNotPossible(path: String, format: String, reason: String)
  /// Something of another tool's folder or file is missing or not as its format says.
  case malformed(path: String, item: String, found: String, expected: String)
  /// A kind of file, quantization or option that is not read or written.
  case unsupported(path: String, what: String, advice: String)
  /// A tensor takes more memory than was allowed, even alone.
  case memoryTooSmall(tensor: String, needed: Int, limit: Int)
}

extension InterchangeError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notExact(let tensor, let format, let reason, let nearest):
      "'\(tensor)' has no exact form in \(format): \(reason); \(nearest), or give "
        + "--allow-requantize to round it again and be told what that costs"
    case .modelNotPossible(let path, let format, let reason):
      "\(path): \(format) cannot hold this model: \(reason)"
    case .malformed(let path, let item, let found, let expected):
      "\(path): \(item): found \(found), expected \(expected); the file is damaged or was written "
        + "by another version of its tool"
    case .unsupported(let path, let what, let advice):
      "\(path): \(what); \(advice)"
    case .memoryTooSmall(let tensor, let needed, let limit):
      "'\(tensor)' needs up to \(needed >> 20) MiB of memory, the program's own counted; the limit is "
        + "\(limit >> 20) MiB; raise --memory"
    }
  }
}
