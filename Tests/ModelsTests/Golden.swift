import Architectures
import Checkpoints
import Models
import Tensors
import TestSupport

/// A tiny random model of a family (and nanollama, really trained) and what transformers computed with it in f64
/// (fixtures/make_forward_goldens.py).
struct Golden {
  let weights: CheckpointWeights
  let sequences: [[Int32]]
  let hidden: Matrix<Float>
  let logits: Matrix<Float>?
  let greedy: [Int32]?

  init(_ name: String, mapped: Bool = true) throws {
    let folder = name == "nanollama" ? name : "forward/" + name
    weights = try CheckpointWeights(
      CheckpointOpener.open(SharedFiles.fixture(folder + "/model.safetensors")), mapped: mapped)
    let file = try CheckpointOpener.open(
      SharedFiles.fixture("forward/" + name + ".golden.safetensors"))
    let ids = try Golden.integers(file, "ids") ?? []
    var start = 0
    sequences = (try Golden.integers(file, "lengths") ?? []).map { length in
      defer { start += Int(length) }
      return Array(ids[start..<start + Int(length)])
    }
    hidden = try Golden.matrix(file, "hidden") ?? Matrix(rows: 0, columns: 0, values: [])
    logits = try Golden.matrix(file, "logits")
    greedy = try Golden.integers(file, "greedy")
  }

  static let families = [
    "llama", "llama3", "mistral", "qwen2", "qwen3", "opt", "opt_after", "gpt2", "bert",
    "bert_bare", "roberta", "nanollama",
  ]
  static let causal = [
    "llama", "llama3", "mistral", "qwen2", "qwen3", "opt", "opt_after", "gpt2", "nanollama",
  ]

  static func integers(_ source: any TensorSource, _ name: String) throws -> [Int32]? {
    try source.tensor(named: name).map { try source.load($0).bytes.array(of: Int32.self) }
  }

  static func matrix(_ source: any TensorSource, _ name: String) throws -> Matrix<Float>? {
    try source.tensor(named: name).map {
      Matrix(
        rows: $0.shape.rows, columns: $0.shape.rowElementCount,
        values: try source.load($0).floats())
    }
  }
}

/// The largest difference, relative to the largest expected value.
func relativeError(_ found: Matrix<Float>, _ expected: Matrix<Float>) -> Double {
  guard found.rows == expected.rows, found.columns == expected.columns else { return .infinity }
  var worst = 0.0
  var scale = 0.0
  for (a, b) in zip(found.values, expected.values) {
    guard a.isFinite else { return .infinity }
    worst = max(worst, abs(Double(a) - Double(b)))
    scale = max(scale, abs(Double(b)))
  }
  return worst / scale
}
