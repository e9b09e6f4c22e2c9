/// What can be wrong with a GGUF file.
public enum GGUFProblem: Sendable, Hashable {
  case notGGUF
  case version(UInt32)
  case headerTooLong(limit: Int)
  case headerCut(at: Int, size: Int)
  case count(String, UInt64)
  case duplicate(String)
  case valueType(UInt32)
  case nesting
  case alignment(Int)
  case axes(tensor: String, Int)
  case shape(tensor: String)
  case type(tensor: String, UInt32)
  case row(tensor: String, columns: Int, block: Int)
  case misaligned(tensor: String, offset: Int)
  case pastEnd(tensor: String, end: Int, available: Int)
  case overlap(tensor: String, other: String)
  case nameTooLong(tensor: String)
}

extension GGUFProblem: CustomStringConvertible {
  /// The sentence that follows the file's name.
  public var description: String {
    switch self {
    case .notGGUF: return "does not begin with 'GGUF'; it is another format, or damaged"
    case .version(let version):
      return
        "is GGUF of version \(version); versions 2 and 3 are read: convert it with a newer tool"
    case .headerTooLong(let limit):
      return "has a header of more than \(limit) bytes; it is damaged"
    case .headerCut(let position, let size):
      return "ends within its header, at byte \(position) of \(size); fetch it again"
    case .count(let what, let count):
      return "states \(count) \(what), more than the file can hold; it is damaged"
    case .duplicate(let name): return "names '\(CheckpointError.shown(name))' twice"
    case .valueType(let type):
      return "has metadata of type \(type), which GGUF does not know; it is damaged"
    case .nesting: return "has arrays within arrays too deep; it is damaged"
    case .alignment(let alignment):
      return "states an alignment of \(alignment), which is no power of two up to 1048576"
    default: return tensorSentence
    }
  }

  /// ggml's types that have a name and are not read.
  private static let typesNotRead: [UInt32: String] = [
    9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
    21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
  ]

  private var tensorSentence: String {
    func shown(_ name: String) -> String { CheckpointError.shown(name) }
    switch self {
    case .axes(let tensor, let axes):
      return "tensor '\(shown(tensor))' has \(axes) axes; at most \(GGUFHeader.maximumAxes)"
    case .shape(let tensor):
      return "tensor '\(shown(tensor))' states more elements than this machine can address"
    case .type(let tensor, let type):
      let name = Self.typesNotRead[type].map { " (\($0))" } ?? ""
      return
        "tensor '\(shown(tensor))' has ggml's type \(type)\(name), which is not read; known are "
        + GGUFBlockType.allCases.map(\.name).joined(separator: ", ")
    case .row(let tensor, let columns, let block):
      return "tensor '\(shown(tensor))' has rows of \(columns), which blocks of \(block) do not "
        + "divide"
    case .misaligned(let tensor, let offset):
      return "tensor '\(shown(tensor))' begins at \(offset), which is not aligned"
    case .pastEnd(let tensor, let end, let available):
      return "tensor '\(shown(tensor))' ends at byte \(end) of the data, but the file holds "
        + "\(available); it was cut short: fetch it again"
    case .overlap(let tensor, let other):
      return "tensors '\(shown(tensor))' and '\(shown(other))' overlap"
    case .nameTooLong(let tensor):
      return "cannot hold the name '\(shown(tensor))': GGUF's names have at most 63 bytes"
    default: preconditionFailure("\(self) is no problem of a tensor")
    }
  }
}
