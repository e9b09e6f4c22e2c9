/// The names that an artefact file uses (docs/artefact-format.md is the specification).
public enum ArtefactFormat {
  /// The root attribute `format`.
  public static let name = "pith-artefact"
  /// The root attribute `format_version`; readers refuse higher ones.
  public static let version = 1

  /// The group that holds one group per compressed weight.
  static let weightsGroup = "weights"
  /// The group that holds the other tensors as plain datasets.
  static let tensorsGroup = "tensors"
  /// The attribute of every dataset: SHA-256 of its bytes as stored, hexadecimal.
  static let hashAttribute = "sha256"
  /// The root attribute with the tensors' names in the model's order, a JSON array.
  static let orderAttribute = "tensor_names"
  /// The prefix of root attributes that carry a companion file's text.
  static let companionPrefix = "companion:"

  /// Whether a path from the root is that of a tensor or a weight.
  static func isTensorPath(_ path: String) -> Bool {
    let parts = path.split(separator: "/")
    return parts.count == 2 && (parts[0] == tensorsGroup || parts[0] == weightsGroup)
  }

  /// A tensor's name as one HDF5 link name: "/", "%" and NUL are percent-encoded, and so is a name
  /// that consists of dots, which HDF5 reads as a path.
  public static func escaped(_ name: String) -> String {
    var result = ""
    for character in name.unicodeScalars {
      switch character {
      case "/": result += "%2F"
      case "%": result += "%25"
      case "\0": result += "%00"
      default: result.unicodeScalars.append(character)
      }
    }
    if result.allSatisfy({ $0 == "." }) {
      return String(repeating: "%2E", count: result.count)
    }
    return result
  }

  /// The name that `escaped` was given.
  public static func unescaped(_ link: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(link.utf8)[...]
    while let byte = rest.popFirst() {
      // A sign is a number to the initializer below, and no part of an escape.
      if byte == UInt8(ascii: "%"), rest.count >= 2, rest.first != UInt8(ascii: "+"),
        rest.first != UInt8(ascii: "-"),
        let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(code)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
