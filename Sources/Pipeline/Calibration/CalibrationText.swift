import Architectures
import Checkpoints
import Digests
import Evaluation
import Models
import Recipes
import Tensors
import Text

/// The tokens that a run calibrates on.
public struct CalibrationText: Sendable {
  /// Where the tokens come from.
  enum Tokens: Sendable {
    case given([[Int32]])
    /// What the model says after its beginning token; sampled when the run begins.
    case ownSamples(beginning: Int32, count: Int, length: Int, seed: UInt64)
  }

  let tokens: Tokens
  /// In words: the source, the windows, the seed, and what they go through.
  public let provenance: String
  /// SHA-256 of the tokens; of the way they are drawn where the model says them itself.
  public let hash: String
  /// Tokens of each sequence.
  let lengths: [Int]

  var rows: Int { lengths.reduce(0, +) }

  /// Reads the text that a recipe's calibration names and cuts it into windows at random places.
  ///
  /// - Parameter tokenizer: a tokenizer.json in place of the model's own.
  /// - Throws: `TextError`, `EvaluationError`, `CheckpointError`, `ModelError.noTokenizer`.
  static func read(
    _ calibration: Calibration, seed: UInt64, for model: OpenedModel, tokenizer: String?
  ) throws -> CalibrationText {
    let description = model.description
    let length = min(calibration.length, description.maximumPositions)
    func load() throws -> Tokenizer { try model.tokenizer(override: tokenizer) }
    let data: EvaluationData
    switch calibration.data {
    case .model:
      let tokenizer = try load()
      guard let beginning = tokenizer.beginning else {
        throw EvaluationError.noBeginning(path: tokenizer.path)
      }
      let count = calibration.sequences
      let text = "the model's own words"
      return CalibrationText(
        tokens: .ownSamples(beginning: beginning, count: count, length: length, seed: seed),
        source: text, lengths: Array(repeating: length, count: count), seed: seed, calibration,
        hash: SHA256.hexadecimal(of: "\(text) \(beginning) \(count) \(length) \(seed)"))
    case .builtin:
      data = .stream(
        try EvaluationData.stream(
          BuiltInText.contents, BuiltInText.name, description.vocabularySize, load()))
    case .file(let path):
      data = try EvaluationData.read(
        path, vocabularySize: description.vocabularySize, tokenizer: { try load() })
    }
    let isCut = if case .windows = data { true } else { false }
    let sequences = try data.calibrationSequences(
      sequences: calibration.sequences, length: isCut ? nil : length, seed: seed,
      for: description)
    var hash = SHA256()
    for sequence in sequences {
      hash.update("\(sequence.count)\n")
      sequence.withUnsafeBytes { hash.update($0) }
    }
    return CalibrationText(
      tokens: .given(sequences), source: data.source, lengths: sequences.map(\.count),
      seed: isCut ? nil : seed, calibration, hash: hash.hexadecimal())
  }

  private init(
    tokens: Tokens, source: String, lengths: [Int], seed: UInt64?, _ calibration: Calibration,
    hash: String
  ) {
    self.tokens = tokens
    self.lengths = lengths
    self.hash = hash
    // A file's folder is no part of what was done: the same file elsewhere gives the same bytes.
    let name = source.split(separator: "/").last.map(String.init) ?? source
    var text = "\(name): \(lengths.count) windows of \(lengths.max() ?? 0) tokens"
    if let seed { text += ", seed \(seed)" }
    switch calibration.sequential {
    case .layers:
      text += ", sequential through compressed layers, fitted to "
      text += calibration.target == .own ? "their own outputs" : "the dense model's "
      if calibration.target != .own {
        text += calibration.target == .stream ? "stream" : "outputs"
      }
    case .blocks: text += ", sequential through compressed blocks"
    case .none: text += ", one shot through the dense model"
    }
    provenance = text
  }

  /// The tokens, sampled now where the model says them itself.
  func sequences(of model: OpenedModel, memoryLimit: Int?, pool: WorkerPool) throws -> [[Int32]] {
    switch tokens {
    case .given(let sequences): sequences
    case .ownSamples(let beginning, let count, let length, let seed):
      try CalibrationRun.ownSamples(
        of: model.load(memoryLimit: memoryLimit, pool: pool), beginning: beginning,
        sequences: count, length: length, seed: seed)
    }
  }
}
