import Architectures
import LinearAlgebra
import LowRank
import Pruning
import Quantization
import Tensors
import Weights

extension TensorDecision.Compression {
  /// The short type in which a dense base keeps every value, when there is one: stages that only
  /// leave entries out keep the source's own values, and a half-precision model must not grow.
  func exactBaseType(for source: DType) -> DType? {
    guard source == .f16 || source == .bf16 else { return nil }
    let keepsValues = stages.allSatisfy { stage in
      switch stage {
      case .prune, .outliers, .activationOutliers, .lowRank(of: .error, _, _), .activations: true
      case .quantize, .hqq, .format, .gptq, .refitted, .lowRank, .channelScale: false
      }
    }
    return keepsValues ? source : nil
  }
}

extension Tensor {
  /// A matrix in another floating-point type that holds its values exactly.
  fileprivate func rounded(to type: DType) throws -> Tensor {
    let values = floats()
    return try Tensor(
      dtype: type, shape: shape,
      bytes: Bytes(count: values.count * type.bytes) { target in
        try values.withUnsafeBufferPointer {
          try FloatConversion.encode($0, as: type, into: target)
        }
      })
  }
}

/// Runs a weight's stages in order: each sees the original and the sum so far.
enum StageRunner {
  /// The compressed weight after all stages.
  ///
  /// - Parameters:
  ///   - original: the dense weight, out × in.
  ///   - compression: the stages, resolved for this weight.
  ///   - sourceType: the element type in the checkpoint.
  ///   - statistics: of the weight's input, for calibrated stages.
  ///   - notes: what stages have to say is added here.
  static func run(
    _ original: Matrix<Float>, _ compression: TensorDecision.Compression, sourceType: DType,
    statistics: InputStatistics? = nil, pool: WorkerPool, notes: inout [String]
  ) throws -> CompressedWeight {
    var weight = CompressedWeight.dense(original, view: compression.view)
    for stage in compression.stages {
      switch stage {
      case .quantize(let scheme):
        weight = try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
      case .format(let format):
        weight = try format.quantize(weight, pool: pool)
      case .hqq(let scheme):
        weight = try HalfQuadratic.quantize(weight, scheme: scheme, pool: pool)
      case .gptq(let scheme, let options):
        weight = try gptq(
          weight, scheme, options, statistics: statistics, pool: pool, notes: &notes)
      case .refitted(let scheme):
        weight = try refitted(weight, scheme, statistics: statistics, pool: pool)
      case .prune(.fraction(let fraction)):
        weight = try MagnitudePruning.prune(weight, sparsity: fraction)
      case .prune(.keeping(let kept, let of)):
        weight = try MagnitudePruning.prune(weight, pattern: KeepPattern(keep: kept, of: of))
      case .lowRank(.weight, let rank, let type):
        weight = try PlainSVD.decompose(weight, original: original, rank: rank, factorType: type)
      case .lowRank(.error, let rank, let type):
        weight = try PlainSVD.repair(weight, original: original, rank: rank, factorType: type)
      case .outliers(let count, let type):
        weight = try ColumnOutliers.extract(weight, count: count, valueType: type)
      case .activationOutliers(let count, let type):
        guard let statistics else {
          throw QuantizationError.statisticsMismatch(
            rows: weight.rows, columns: weight.columns, gram: [0, 0])
        }
        let loudest = statistics.maxima.indices.sorted {
          (-statistics.maxima[$0], $0) < (-statistics.maxima[$1], $1)
        }
        weight = try ColumnOutliers.extract(
          weight, columns: Array(loudest.prefix(count)), valueType: type)
      case .channelScale(let alpha):
        let scale = ChannelScaling.scale(of: original, alpha: Float(alpha))
        weight = try ChannelScaling.apply(weight, scale: scale)
      case .activations(let scheme):
        weight = try activations(weight, scheme, statistics: statistics, notes: &notes)
      }
    }
    if let type = compression.exactBaseType(for: sourceType), case .dense(let base)? = weight.base {
      weight.base = .dense(DenseBase(values: try base.values.rounded(to: type)))
    }
    return weight
  }
}
