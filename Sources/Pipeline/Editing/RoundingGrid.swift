import Quantization
import Tensors
import Weights

/// What a weight will be rounded to, as a search sees it: to the nearest, whatever comes later.
enum RoundingGrid: Sendable {
  case integer(IntegerScheme)
  /// On ranges chosen for the layer's output.
  case weighted(IntegerScheme)
  case format(ResolvedFormat)

  /// The weight as its codes will stand for it.
  func rounded(_ weight: Matrix<Float>) throws -> Matrix<Float> {
    switch self {
    case .integer(let scheme), .weighted(let scheme):
      try IntegerBase.roundToNearest(weight, scheme: scheme).decoded()
    case .format(let format): try format.quantize(.dense(weight), pool: .serial).decodedBase()
    }
  }

  /// The same for inputs of a Gram matrix that were divided by a scale: what the stage will do.
  func rounded(
    _ weight: Matrix<Float>, gram: Matrix<Double>, scale: [Float]
  ) throws -> Matrix<Float> {
    guard case .weighted(let scheme) = self else { return try rounded(weight) }
    let inverse = scale.map { 1 / Double($0) }
    var divided = gram
    for row in 0..<gram.rows {
      for place in gram.range(ofRow: row) {
        divided.values[place] *= inverse[row] * inverse[place - row * gram.columns]
      }
    }
    return try WeightedRounding.quantize(.dense(weight), gram: divided, scheme: scheme)
      .decodedBase()
  }

  /// Inputs that share a scale.
  func reach(columns: Int) -> Int {
    let granularity: Granularity
    switch self {
    case .integer(let scheme), .weighted(let scheme): granularity = scheme.granularity
    case .format(.table(let scheme)), .format(.fittedPower(let scheme)):
      granularity = scheme.grid.granularity
    case .format(.blocks(let format)): return format.subLength
    case .format(.mixed(let scheme)): return scheme.group
    case .format(.planes(let scheme)): granularity = scheme.granularity
    }
    return if case .group(let size) = granularity { size } else { columns }
  }

  /// The same with a quick search of its ranges: enough to rank scales by.
  func coarse() throws(WeightsError) -> RoundingGrid {
    let scheme: IntegerScheme
    switch self {
    case .integer(let found), .weighted(let found): scheme = found
    case .format: return self
    }
    guard case .meanSquare(let steps, let shrink) = scheme.clip, steps > 8 else { return self }
    return .integer(
      try IntegerScheme(
        bits: scheme.bits, symmetric: scheme.symmetric, granularity: scheme.granularity,
        scaleType: scheme.scaleType, clip: .meanSquare(steps: 8, maxShrink: min(shrink, 0.4))))
  }
}

extension TensorDecision.Compression {
  /// What the weight is rounded to first; nil when it is not.
  var rounding: RoundingGrid? {
    for stage in stages {
      switch stage {
      case .quantize(let scheme), .gptq(let scheme, _), .refitted(let scheme), .hqq(let scheme):
        return .integer(scheme)
      case .weightedRounding(let scheme): return .weighted(scheme)
      case .format(let format), .gptqFormat(let format, _), .refittedFormat(let format):
        return .format(format)
      default: continue
      }
    }
    return nil
  }
}
