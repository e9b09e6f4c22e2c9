/// What can be wrong with a .keras archive as a zip file.
public enum ArchiveProblem: Sendable, Hashable {
  case noDirectory
  case damaged(reason: String)
  case missingMember(String)
  case unsupported(member: String, reason: String)
  case tooLarge(member: String, bytes: Int, limit: Int)
  case checksumMismatch(member: String)
}

extension ArchiveProblem: CustomStringConvertible {
  /// The sentence that follows the file's name.
  public var description: String {
    switch self {
    case .noDirectory:
      "is no complete zip archive: its directory is missing at the end; fetch or write it again"
    case .damaged(let reason): "is a damaged zip archive: \(reason); fetch or write it again"
    case .missingMember(let member):
      "has no member '\(member)'; a .keras archive has config.json, metadata.json and "
        + "model.weights.h5"
    case .unsupported(let member, let reason):
      "has a member '\(member)' that cannot be read: \(reason); save the model again with Keras"
    case .tooLarge(let member, let bytes, let limit):
      "declares \(bytes) bytes for its member '\(member)', more than \(limit); it is damaged or "
        + "hostile"
    case .checksumMismatch(let member):
      "is damaged: the checksum of its member '\(member)' does not match; fetch or write it again"
    }
  }
}
