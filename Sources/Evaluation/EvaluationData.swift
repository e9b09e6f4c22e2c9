import Checkpoints
import Foundation
import Models
import Tensors
import Text

/// What models are evaluated or calibrated on; the content of a file decides which.
public enum EvaluationData: Sendable {
  /// One stream of tokens, to be cut into windows.
  case stream(TokenStream)
  /// Windows that somebody else has cut: the rows of `window_ids` in an HDF5 file.
  case windows([[Int32]], source: String)

  /// How windows are cut from a stream.
  public struct Cutting: Sendable, Hashable {
    /// Tokens of a window, a beginning token counted; nil: the least of 512 and the positions.
    public var length: Int?
    /// The most windows; nil: up to 256, as many as there are.
    public var sequences: Int?
    /// Tokens from one window's start to the next; nil: no overlap.
    public var stride: Int?
    /// Whether the tokenizer's beginning token goes before every window.
    public var withBeginning: Bool

    public init(
      length: Int? = nil, sequences: Int? = nil, stride: Int? = nil, withBeginning: Bool = false
    ) {
      self.length = length
      self.sequences = sequences
      self.stride = stride
      self.withBeginning = withBeginning
    }
  }

  /// Windows when nobody says how many.
  public static let defaultSequences = 256
  /// The longest window when nobody says how long.
  public static let defaultLength = 512

  /// Reads a text, a JSONL file (the texts of a field, a line each) or an HDF5 file of tokens.
  ///
  /// - Parameters:
  ///   - field: the field of JSONL records that holds the text.
  ///   - tokenizer: asked for when text must become tokens.
  /// - Throws: `TextError`, `EvaluationError`, `CheckpointError`.
  public static func read(
    _ path: String, field: String = "text", vocabularySize: Int,
    tokenizer: () throws -> Tokenizer
  ) throws -> EvaluationData {
    let head = try beginning(of: path)
    if head.starts(with: [0x89, 0x48, 0x44, 0x46]) {
      return try tokenFile(path, vocabularySize: vocabularySize)
    }
    if looksLikeJSONL(head) {
      let texts = try JSONLines.records(path).map { record in try record.text(field) }
      return .stream(
        try stream(texts.joined(separator: "\n"), path, vocabularySize, tokenizer()))
    }
    // Reading the text before the tokenizer: the message about the file comes first.
    let text = try TextFile.contents(path)
    return .stream(try stream(text, path, vocabularySize, tokenizer()))
  }

  /// The tokens of a text that is at hand.
  public static func stream(
    _ text: String, _ source: String, _ vocabularySize: Int, _ tokenizer: Tokenizer
  ) throws -> TokenStream {
    try TokenStream(
      tokenizer.encode(text).map(Int.init), vocabularySize: vocabularySize, source: source)
  }

  /// Where the data came from.
  public var source: String {
    switch self {
    case .stream(let stream): stream.source
    case .windows(_, let source): source
    }
  }

  private static func beginning(of path: String) throws -> [UInt8] {
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? handle.close() }
      return Array(try handle.read(upToCount: 4096) ?? Data())
    } catch {
      throw TextError.cannotRead(path: path, reason: error.localizedDescription)
    }
  }

  /// Whether the first line begins as a JSON object does; prose that begins with a brace and a
  /// quote is not to be expected.
  private static func looksLikeJSONL(_ head: [UInt8]) -> Bool {
    let text = head.starts(with: [0xEF, 0xBB, 0xBF]) ? head.dropFirst(3) : head[...]
    let dense = text.lazy.filter { $0 > 0x20 }.prefix(2)
    return Array(dense) == Array("{\"".utf8)
  }

  private static func tokenFile(_ path: String, vocabularySize: Int) throws -> EvaluationData {
    let source = try CheckpointOpener.open(path)
    guard
      let tensor = source.tensor(named: "window_ids") ?? source.tensor(named: "tokens")
    else { throw EvaluationError.noTokens(path: path, found: source.tensors.map(\.name)) }
    let ids = try integers(of: try source.load(tensor), path: path, dataset: tensor.name)
    let checked = try TokenStream(ids, vocabularySize: vocabularySize, source: path)
    let extents = tensor.shape.dimensions
    if extents.count == 1 { return .stream(checked) }
    let length = extents[1]
    return .windows(
      (0..<extents[0]).map { Array(checked.ids[$0 * length..<($0 + 1) * length]) }, source: path)
  }

  private static func integers(
    of tensor: Tensor, path: String, dataset: String
  ) throws -> [Int] {
    let shape = tensor.shape.dimensions
    func refused() -> EvaluationError {
      .badTokens(path: path, dataset: dataset, found: "\(tensor.dtype.rawValue) of \(shape)")
    }
    guard shape.count == 1 || shape.count == 2 else { throw refused() }
    switch tensor.dtype {
    case .i64: return tensor.bytes.array(of: Int64.self).map { Int($0) }
    case .i32: return tensor.bytes.array(of: Int32.self).map { Int($0) }
    case .i16: return tensor.bytes.array(of: Int16.self).map { Int($0) }
    case .u16: return tensor.bytes.array(of: UInt16.self).map { Int($0) }
    case .u32: return tensor.bytes.array(of: UInt32.self).map { Int($0) }
    default: throw refused()
    }
  }
}
