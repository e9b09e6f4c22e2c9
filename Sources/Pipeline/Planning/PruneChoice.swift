import Pruning
import Recipes
import Tensors
import Weights

/// A pruning stage with the choices made for one weight.
public struct PruneChoice: Sendable, Hashable {
  public enum Method: Sendable, Hashable {
    case magnitude, wanda, sparseGPT, optimalBrain
  }

  public var method: Method
  public var amount: PruneAmount
  /// How the fraction is handed out over the model; `SparsityPass` settles it.
  public var allocation: PruneOptions.Allocation
  public var damping: Double
  /// Whether survivors are fitted again.
  public var isRefitting: Bool
  /// The grid on which survivors are rounded in the same sweep, and whether its scales are fitted
  /// to the codes at the end.
  public var rounding: Rounding?

  public struct Rounding: Sendable, Hashable {
    public var scheme: IntegerScheme
    public var refitsScales: Bool
  }

  /// Whether the stage needs the statistics of the weight's input.
  var isCalibrated: Bool {
    method != .magnitude || isRefitting || allocation == .adaptive
  }

  /// The choices of a recipe's stage.
  init(_ options: PruneOptions, _ amount: PruneAmount) {
    switch options.method {
    case .magnitude: method = .magnitude
    case .wanda: method = .wanda
    case .sparsegpt: method = .sparseGPT
    case .obc: method = .optimalBrain
    }
    self.amount = amount
    allocation = if case .fraction = amount { options.allocation ?? .uniform } else { .uniform }
    damping = options.damping ?? 0.01
    // The exact choice ends at the optimum of its mask.
    isRefitting = options.refit == true && options.method != .obc
    rounding = nil
  }
}

extension PruneChoice: CustomStringConvertible {
  public var description: String {
    let part =
      switch amount {
      case .fraction(let fraction, _): "sparse \(Int((fraction * 100).rounded()))%"
      case .pattern(let pattern): "\(pattern.keep):\(pattern.of)"
      }
    guard let scheme = rounding?.scheme else { return part }
    return part + ", int\(scheme.bits)" + (scheme.symmetric ? "" : " asym") + " "
      + scheme.granularity.shortName
  }
}
