import Architectures
import Checkpoints
import Evaluation
import Models
import Quantization
import Tensors
import TestSupport
import Text
import Weights

/// The small language model of fixtures/, dense and with weights rounded to few bits.
enum Nano {
  static let folder = SharedFiles.fixture("nanollama")
  static let text = SharedFiles.fixture("text/heldout_publicdomain.txt")

  static func model(bits: Int? = nil, workers: Int = 1) throws -> LanguageModel {
    let weights = try OpenedModel.open(folder).weights
    let pool = WorkerPool(workers: workers)
    guard let bits else { return try LanguageModel(weights, pool: pool) }
    return try LanguageModel(RoundedWeights(base: weights, bits: bits), pool: pool)
  }

  static func windows(
    _ cutting: EvaluationData.Cutting = .init(sequences: 64), text: String = text
  ) throws -> EvaluationWindows {
    let opened = try OpenedModel.open(folder)
    let tokenizer = try opened.tokenizer()
    let data = try EvaluationData.read(
      text, vocabularySize: opened.description.vocabularySize, tokenizer: { tokenizer })
    return try data.scoringWindows(
      cutting, for: opened.description, beginning: { tokenizer.beginning })
  }
}

/// A model's linear layers rounded to a number of bits in groups of 32.
struct RoundedWeights: WeightProvider {
  let base: any WeightProvider
  let bits: Int

  var description: ModelDescription { base.description }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    try RoundToNearest.quantize(
      base.weight(linear), scheme: IntegerScheme(bits: bits, granularity: .group(32)))
  }

  func vector(_ name: String, count: Int) throws -> [Float] {
    try base.vector(name, count: count)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try base.table(name, rows: rows, columns: columns)
  }
}
