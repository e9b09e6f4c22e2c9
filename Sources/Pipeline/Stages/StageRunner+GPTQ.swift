import Architectures
import LinearAlgebra
import Quantization
import Tensors
import Weights

extension StageRunner {
  /// GPTQ with the statistics of the input as the base meets it.
  static func gptq(
    _ weight: CompressedWeight, _ scheme: IntegerScheme, _ options: GPTQOptions,
    statistics: InputStatistics?, pool: WorkerPool, notes: inout [String]
  ) throws -> CompressedWeight {
    guard let statistics, var gram = statistics.gram else {
      throw QuantizationError.statisticsMismatch(
        rows: weight.rows, columns: weight.columns, gram: [0, 0])
    }
    for transform in weight.site?.transforms ?? [] { transform.apply(toGram: &gram) }
    let (result, report) = try GPTQ.quantize(
      weight, gram: gram, rows: statistics.rows, scheme: scheme, options: options, pool: pool)
    notes += report.warnings
    return result
  }

  /// Round-to-nearest codes with the scales that lose least under the input's statistics.
  static func refitted(
    _ weight: CompressedWeight, _ scheme: IntegerScheme, statistics: InputStatistics?,
    pool: WorkerPool
  ) throws -> CompressedWeight {
    guard var gram = statistics?.gram else {
      throw QuantizationError.statisticsMismatch(
        rows: weight.rows, columns: weight.columns, gram: [0, 0])
    }
    for transform in weight.site?.transforms ?? [] { transform.apply(toGram: &gram) }
    let rounded = try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
    return try ScaleRefit.refit(
      rounded, target: weight.decodedBase(), gram: gram, pool: pool
    ).weight
  }
}

extension InputTransform {
  /// The Gram matrix of T(x) from that of x.
  fileprivate func apply(toGram gram: inout Matrix<Double>) {
    switch self {
    case .scale(let tensor):
      let scale = tensor.floats().map(Double.init)
      for row in 0..<gram.rows {
        for column in 0..<gram.columns { gram[row, column] /= scale[row] * scale[column] }
      }
    case .permutation(let tensor):
      let index = tensor.bytes.array(of: Int32.self).map(Int.init)
      let source = gram
      for row in 0..<gram.rows {
        for column in 0..<gram.columns { gram[row, column] = source[index[row], index[column]] }
      }
    }
  }
}
