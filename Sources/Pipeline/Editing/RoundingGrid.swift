import Quantization
import Tensors
import Weights

/// What a weight will be rounded to, as a search sees it: to the nearest, whatever comes later.
enum RoundingGrid: Sendable {
  case integer(IntegerScheme)
  case format(ResolvedFormat)

  /// The weight as its codes will stand for it.
  func rounded(_ weight: Matrix<Float>) throws -> Matrix<Float> {
    switch self {
    case .integer(let scheme):
      try IntegerBase.roundToNearest(weight, scheme: scheme).decoded()
    case .format(let format): try format.quantize(.dense(weight), pool: .serial).decodedBase()
    }
  }

  /// Inputs that share a scale.
  func reach(columns: Int) -> Int {
    let granularity =
      switch self {
      case .integer(let scheme): scheme.granularity
      case .format(.table(let scheme)), .format(.fittedPower(let scheme)): scheme.grid.granularity
      }
    return if case .group(let size) = granularity { size } else { columns }
  }

  /// The same with a quick search of its ranges: enough to rank scales by.
  func coarse() throws(WeightsError) -> RoundingGrid {
    guard case .integer(let scheme) = self, case .meanSquare(let steps, let shrink) = scheme.clip,
      steps > 8
    else { return self }
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
      case .quantize(let scheme), .gptq(let scheme, _), .weightedRounding(let scheme):
        return .integer(scheme)
      case .format(let format): return .format(format)
      default: continue
      }
    }
    return nil
  }
}
