import Checkpoints
import Models
import Tensors
import Text

/// What a reference said of windows, on disk: its most likely tokens of every scored position
/// (docs/evaluation.md).
///
/// Values are read a batch of windows at a time.
public struct SavedReference: Sendable {
  /// The root attribute `format`.
  public static let format = "pith-reference"
  /// The root attribute `version`.
  public static let version = 1
  /// Tokens of a position when nobody says how many.
  public static let defaultCount = 128

  /// Names of the datasets.
  enum Item: String, CaseIterable {
    case windows = "window_ids"
    case firstScored = "first_scored"
    case tokens = "top_tokens"
    case logProbabilities = "top_log_probabilities"
    case targets = "target_log_probabilities"

    /// The element type, and the shape for windows of a length, scored tokens and tokens of each.
    func dataset(_ windows: Int, _ length: Int, _ scored: Int, _ count: Int) -> (DType, Shape) {
      switch self {
      case .windows: (.i32, [windows, length])
      case .firstScored: (.i32, [windows])
      case .tokens: (.i32, [scored, count])
      case .logProbabilities: (.f32, [scored, count])
      case .targets: (.f64, [scored])
      }
    }
  }

  public let path: String
  /// The model that spoke.
  public let model: ModelSummary
  public let vocabulary: Int
  /// Tokens of every scored position, the likeliest first.
  public let count: Int
  public let windows: [TokenWindow]

  private let file: HDF5File
  private let tensors: [Item: TensorDescription]

  /// Whether a path leads to an HDF5 file whose attribute `format` says that it is one.
  public static func isReference(_ path: String) -> Bool {
    guard FileIO.kind(of: path) != .folder, let file = try? HDF5File(path: path) else {
      return false
    }
    return file.root.attributes["format"]?.string == format
  }

  /// - Throws: `EvaluationError.referenceMalformed`, `CheckpointError` for a damaged file.
  public init(_ path: String) throws {
    let file = try HDF5File(path: path)
    let attributes = file.root.attributes
    func malformed(_ item: String, _ found: String, _ expected: String) -> EvaluationError {
      .referenceMalformed(path: path, item: item, found: found, expected: expected)
    }
    guard attributes["format"]?.string == Self.format else {
      throw malformed(
        "format", attributes["format"]?.string.map { "'\($0)'" } ?? "missing", "'\(Self.format)'")
    }
    func number(_ name: String, _ range: ClosedRange<Int>) throws -> Int {
      guard let value = attributes[name]?.int, range.contains(value) else {
        throw malformed(
          name, attributes[name]?.int.map(String.init) ?? "missing",
          range.count == 1 ? "\(range.lowerBound)" : "a number from \(range.lowerBound) on")
      }
      return value
    }
    _ = try number("version", Self.version...Self.version)
    vocabulary = try number("vocabulary_size", 1...Int(Int32.max))
    count = try number("top_k", 1...vocabulary)
    var tensors: [Item: TensorDescription] = [:]
    for tensor in file.tensors {
      if let item = Item(rawValue: tensor.name) { tensors[item] = tensor }
    }
    let extents = tensors[.windows]?.shape.dimensions ?? []
    let scored = tensors[.targets]?.shape.dimensions.first ?? 0
    for item in Item.allCases {
      guard let tensor = tensors[item] else {
        throw malformed(item.rawValue, "missing", "a dataset")
      }
      let (dtype, shape) = item.dataset(extents.first ?? 0, extents.last ?? 0, scored, count)
      guard tensor.dtype == dtype, tensor.shape == shape else {
        throw malformed(
          item.rawValue, "\(tensor.dtype.rawValue) of \(tensor.shape.dimensions)",
          "\(dtype.rawValue) of \(shape.dimensions)")
      }
    }
    self.path = path
    self.file = file
    self.tensors = tensors
    model = ModelSummary(
      path: attributes["model"]?.string ?? path,
      storedBytes: attributes["model_stored_bytes"]?.int ?? 0,
      bitsPerParameter: attributes["model_bits_per_parameter"]?.double ?? 0,
      compressedBitsPerWeight: attributes["model_compressed_bits_per_weight"]?.double)
    let length = extents.last ?? 0
    let ids: [Int32] = try Self.values(file, tensors[.windows], 0..<(extents.first ?? 0))
    let firsts: [Int32] = try Self.values(file, tensors[.firstScored], 0..<(extents.first ?? 0))
    guard firsts.allSatisfy({ 1...max(length, 1) ~= Int($0) }) else {
      throw malformed(Item.firstScored.rawValue, "out of range", "positions from 1 to \(length)")
    }
    windows = firsts.indices.map {
      TokenWindow(
        tokens: Array(ids[$0 * length..<($0 + 1) * length]), firstScored: Int(firsts[$0]))
    }
    let total = windows.reduce(0) { $0 + $1.scoredCount }
    guard total == scored else {
      throw malformed(Item.targets.rawValue, "\(scored) positions", "\(total), as windows score")
    }
  }

  /// Makes sure that the windows of a run are those that were saved.
  ///
  /// - Throws: `EvaluationError.referenceOfOtherWindows`, `ModelError.differentVocabularies`.
  public func check(_ windows: [TokenWindow], vocabulary: Int) throws {
    guard vocabulary == self.vocabulary else {
      throw ModelError.differentVocabularies(model: vocabulary, reference: self.vocabulary)
    }
    func other(_ found: String, _ expected: String) -> EvaluationError {
      .referenceOfOtherWindows(path: path, found: found, expected: expected)
    }
    func shape(_ windows: [TokenWindow]) -> String {
      "\(windows.count) windows of \(windows.first?.tokens.count ?? 0) tokens"
    }
    guard windows.count == self.windows.count,
      windows.first?.tokens.count == self.windows.first?.tokens.count
    else { throw other(shape(self.windows), shape(windows)) }
    for (index, (own, run)) in zip(self.windows, windows).enumerated() where own != run {
      guard own.tokens == run.tokens else {
        let position = zip(own.tokens, run.tokens).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
        throw other(
          "token \(own.tokens[position]) at position \(position) of window \(index)",
          "token \(run.tokens[position])")
      }
      throw other(
        "window \(index) scored from position \(own.firstScored) on", "from \(run.firstScored) on")
    }
  }

  /// What was said of some scored positions, counted over all windows.
  struct Part {
    var tokens: [Int32]
    var logProbabilities: [Float]
    var targets: [Double]
  }

  /// Reads scored positions.
  ///
  /// - Throws: `EvaluationError.referenceMalformed` for tokens beyond the vocabulary and numbers
  ///   that are no log-probabilities.
  func part(_ rows: Range<Int>) throws -> Part {
    let part = Part(
      tokens: try Self.values(file, tensors[.tokens], rows),
      logProbabilities: try Self.values(file, tensors[.logProbabilities], rows),
      targets: try Self.values(file, tensors[.targets], rows))
    func malformed(_ item: Item, _ found: String, _ expected: String) -> EvaluationError {
      .referenceMalformed(path: path, item: item.rawValue, found: found, expected: expected)
    }
    if let token = part.tokens.first(where: { $0 < 0 || Int($0) >= vocabulary }) {
      throw malformed(.tokens, "\(token) somewhere", "0 to \(vocabulary - 1)")
    }
    // Rounding may leave a hair above 0; comparisons are false for NaN.
    guard part.logProbabilities.allSatisfy({ $0 <= 1e-5 }) else {
      throw malformed(.logProbabilities, "above 0 or not a number", "natural logarithms up to 0")
    }
    guard part.targets.allSatisfy({ $0 <= 1e-5 }) else {
      throw malformed(.targets, "above 0 or not a number", "natural logarithms up to 0")
    }
    return part
  }

  private static func values<Element: BitwiseCopyable>(
    _ file: HDF5File, _ tensor: TensorDescription?, _ rows: Range<Int>
  ) throws -> [Element] {
    guard let tensor, !rows.isEmpty else { return [] }
    let count = rows.count * tensor.rowByteCount / MemoryLayout<Element>.stride
    var failure: CheckpointError?
    let values = [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(CheckpointError) {
        try file.read(tensor, rows: rows, into: UnsafeMutableRawBufferPointer(buffer))
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return values
  }
}
