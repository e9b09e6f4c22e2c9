import LinearAlgebra
import LowRank
import Pruning
import Quantization
import Tensors
import Weights

/// Runs a weight's stages in order: each sees the original and the sum so far.
enum StageRunner {
  /// The compressed weight after all stages.
  ///
  /// - Parameters:
  ///   - original: the dense weight, out × in.
  ///   - compression: the stages, resolved for this weight.
  static func run(
    _ original: Matrix<Float>, _ compression: TensorDecision.Compression, pool: WorkerPool
  ) throws -> CompressedWeight {
    var weight = CompressedWeight.dense(original, view: compression.view)
    for stage in compression.stages {
      switch stage {
      case .quantize(let scheme):
        weight = try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
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
      case .channelScale(let alpha):
        let scale = ChannelScaling.scale(of: original, alpha: Float(alpha))
        weight = try ChannelScaling.apply(weight, scale: scale)
      }
    }
    return weight
  }
}
