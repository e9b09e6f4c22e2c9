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
    let (result, report) = try GPTQ.quantize(
      weight, gram: gram(weight, statistics), rows: statistics?.rows, scheme: scheme,
      options: options, pool: pool)
    notes += report.warnings
    return result
  }

  /// The Gram matrix of the inputs as a weight's base meets them: behind its transforms.
  static func gram(
    _ weight: CompressedWeight, _ statistics: InputStatistics?
  ) throws -> Matrix<Double> {
    guard let statistics, var gram = statistics.gram else {
      throw QuantizationError.statisticsMismatch(
        rows: weight.rows, columns: weight.columns, gram: [0, 0])
    }
    for transform in weight.site?.transforms ?? [] { transform.apply(toGram: &gram) }
    return gram
  }

  /// The scale that a stage puts between the inputs and the weight.
  static func scale(
    _ origin: ResolvedStage.ScaleOrigin, of original: Matrix<Float>
  ) -> [Float] {
    switch origin {
    case .columns(let alpha): ChannelScaling.scale(of: original, alpha: Float(alpha))
    case .given(let scale): scale
    case .smoothing: preconditionFailure("smoothing is computed before the first weight")
    }
  }

  /// Round-to-nearest codes with the scales that lose least under the input's statistics.
  static func refitted(
    _ weight: CompressedWeight, _ scheme: IntegerScheme, statistics: InputStatistics?,
    pool: WorkerPool
  ) throws -> CompressedWeight {
    try ScaleRefit.refit(
      RoundToNearest.quantize(weight, scheme: scheme, pool: pool), target: weight.decodedBase(),
      gram: gram(weight, statistics), pool: pool
    ).weight
  }

  /// The same onto another number format than integers.
  static func refitted(
    _ weight: CompressedWeight, _ format: ResolvedFormat, statistics: InputStatistics?,
    pool: WorkerPool
  ) throws -> CompressedWeight {
    try ScaleRefit.refit(
      format.quantize(weight, pool: pool), target: weight.decodedBase(),
      gram: gram(weight, statistics), pool: pool
    ).weight
  }
}

extension StageRunner {
  /// The same onto another number format than integers.
  static func gptq(
    _ weight: CompressedWeight, _ format: ResolvedFormat, _ options: GPTQOptions,
    statistics: InputStatistics?, pool: WorkerPool, notes: inout [String]
  ) throws -> CompressedWeight {
    guard let statistics, var gram = statistics.gram else {
      throw QuantizationError.statisticsMismatch(
        rows: weight.rows, columns: weight.columns, gram: [0, 0])
    }
    for transform in weight.site?.transforms ?? [] { transform.apply(toGram: &gram) }
    let grid: GPTQ.Format =
      switch format {
      case .table(let scheme): .table(scheme)
      case .fittedPower(let scheme):
        .table(try PowerExponent.fitted(scheme, to: weight, pool: pool))
      case .blocks(let blocks): .blocks(blocks)
      case .mixed(let scheme): .mixed(scheme)
      case .planes(let scheme): .planes(scheme)
      }
    let (result, report) = try GPTQ.quantize(
      weight, gram: gram, rows: statistics.rows, format: grid, options: options, pool: pool)
    notes += report.warnings
    return result
  }
}

extension InputTransform {
  /// The Gram matrix of T(x) from that of x.
  func apply(toGram gram: inout Matrix<Double>) {
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
    case .hadamard(let transform):
      transform.rotation.apply(to: &gram)
      gram = gram.transposed
      transform.rotation.apply(to: &gram)
    }
  }
}
