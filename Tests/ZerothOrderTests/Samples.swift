import Architectures
import Foundation
import Models
import Objectives
import Quantization
import Tensors
import TestSupport
import Text
import Weights

@testable import ZerothOrder

/// The small language model of fixtures/ at 2 bits, its original, and text to tune on.
enum Sample {
  static let folder = SharedFiles.fixture("nanollama")

  static func weights() throws -> any WeightProvider { try OpenedModel.open(folder).weights }

  static func quantized(bits: Int = 2) throws -> HeldWeights {
    try HeldWeights(RoundedWeights(base: weights(), bits: bits))
  }

  static func windows(_ count: Int, length: Int = 33) throws -> [[Int32]] {
    let opened = try OpenedModel.open(folder)
    let text = try TextFile.contents(SharedFiles.fixture("text/heldout_publicdomain.txt"))
    let ids = try opened.tokenizer().encode(text)
    return (0..<count).map { Array(ids[$0 * length..<($0 + 1) * length]) }
  }

  /// Inputs that distil the original into its 2-bit self, with 8 windows held out.
  static func inputs(
    workers: Int = 1, heldOut: Bool = true, windows count: Int = 32
  ) throws -> Tuning.Inputs {
    let pool = WorkerPool(workers: workers)
    let base = try quantized()
    let model = try LanguageModel(base, residency: .oneBlock, pool: pool)
    let teacher = try LanguageModel(weights(), pool: pool)
    let all = try windows(8 + count)
    func objective(_ windows: ArraySlice<[Int32]>) throws -> Distillation {
      try Distillation(windows: Array(windows), source: "text", teacher: teacher, student: model)
    }
    return Tuning.Inputs(
      model: model, weights: base, path: "nano.h5", hash: String(repeating: "0", count: 64),
      objective: try objective(all[8...]), heldOut: heldOut ? try objective(all[..<8]) : nil,
      data: "fixture", tool: "test")
  }

  static func options(steps: Int = 12) -> TuningOptions {
    var options = TuningOptions()
    options.steps = steps
    options.batch = 4
    options.evaluateEvery = 5
    options.probes = 3
    return options
  }

  /// A parameter of some elements, for statistics.
  static func parameter(rows: Int = 1, columns: Int, id: UInt32 = 3) -> Parameter {
    var parameter = Parameter(
      tensor: "w", part: .dense, kind: .dense, rows: rows, columns: columns, block: nil,
      form: .absolute, stored: .f32)
    parameter.id = id
    parameter.range = 0..<rows * columns
    return parameter
  }
}

/// A model's linear layers rounded to a number of bits in groups of 32.
struct RoundedWeights: WeightProvider {
  let base: any WeightProvider
  let bits: Int

  var description: ModelDescription { base.description }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    try RoundToNearest.quantize(
      base.weight(linear),
      scheme: IntegerScheme(bits: bits, symmetric: false, granularity: .group(32)))
  }

  func vector(_ name: String, count: Int) throws -> [Float] {
    try base.vector(name, count: count)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try base.table(name, rows: rows, columns: columns)
  }
}
