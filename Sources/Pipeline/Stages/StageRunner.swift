import Architectures
import LinearAlgebra
import LowRank
import Pruning
import Quantization
import Tensors
import Weights

extension TensorDecision.Compression {
  /// The short type in which a dense base is stored, when there is one: stages that only leave
  /// entries out keep the source's own values, those that update survivors round them to the
  /// source's type, and a half-precision model must not grow.
  func exactBaseType(for source: DType) -> DType? {
    guard source == .f16 || source == .bf16 else { return nil }
    let keepsValues = stages.allSatisfy { stage in
      switch stage {
      case .prune, .outliers, .activationOutliers, .activations: true
      case .lowRank(let choice): choice.role == .repair
      case .quantize, .hqq, .format, .gptq, .gptqFormat, .refitted, .refittedFormat,
        .weightedRounding, .channelScale, .hadamard:
        false
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
  ///   - tensor: its name there, for stages that look it up in other files.
  ///   - statistics: of the weight's input, for calibrated stages.
  ///   - notes: what stages have to say is added here.
  static func run(
    _ original: Matrix<Float>, _ compression: TensorDecision.Compression, sourceType: DType,
    tensor: String = "", statistics: InputStatistics? = nil, pool: WorkerPool,
    notes: inout [String]
  ) throws -> CompressedWeight {
    var weight = CompressedWeight.dense(original, view: compression.view)
    var stages = compression.stages[...]
    while let stage = stages.popFirst() {
      switch stage {
      case .quantize(let scheme):
        weight = try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
      case .format(let format):
        weight = try format.quantize(weight, pool: pool)
      case .hqq(let scheme):
        weight = try HalfQuadratic.quantize(weight, scheme: scheme, pool: pool)
      case .gptqFormat(let format, let options):
        weight = try gptq(
          weight, format, options, statistics: statistics, pool: pool, notes: &notes)
      case .gptq(let scheme, let options):
        weight = try gptq(
          weight, scheme, options, statistics: statistics, pool: pool, notes: &notes)
      case .refitted(let scheme):
        weight = try refitted(weight, scheme, statistics: statistics, pool: pool)
      case .refittedFormat(let format):
        weight = try refitted(weight, format, statistics: statistics, pool: pool)
      case .prune(let choice):
        weight = try prune(
          weight, choice, statistics: statistics, pool: pool, notes: &notes)
      case .lowRank(let choice):
        weight = try lowRank(
          choice, weight, original, quantizer: choice.method.alternates ? stages.popFirst() : nil,
          tensor: tensor, statistics: statistics, pool: pool, notes: &notes)
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
      case .weightedRounding(let scheme):
        weight = try WeightedRounding.quantize(
          weight, gram: gram(weight, statistics), scheme: scheme, pool: pool)
      case .channelScale(let origin):
        weight = try ChannelScaling.apply(weight, scale: scale(origin, of: original))
      case .hadamard(let rotation):
        weight = try InputRotation.apply(weight, rotation)
      case .activations(let scheme):
        weight = try activations(weight, scheme, statistics: statistics, notes: &notes)
      }
    }
    if let type = compression.exactBaseType(for: sourceType), case .dense(let base)? = weight.base {
      let rounded = try base.values.rounded(to: type)
      // Updated survivors may have left the range of f16.
      if let index = rounded.floats().firstIndex(where: { !$0.isFinite }) {
        throw WeightsError.valueNotFinite(part: "base/values", index: index)
      }
      weight.base = .dense(DenseBase(values: rounded))
    }
    return weight.packed()
  }
}
