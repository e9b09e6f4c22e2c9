import Quantization
import Tensors
import Weights

/// What a plan does with one tensor, and why.
public enum TensorDecision: Sendable, Hashable {
  /// Stored as it is.
  case leave(LeaveReason)
  /// Stored once, under another tensor's name.
  case tied(to: String)
  /// Run through stages.
  case compress(Compression)

  /// Why a tensor is stored as it is.
  public enum LeaveReason: Sendable, Hashable {
    case notAMatrix(rank: Int)
    case notFloatingPoint(DType)
    case empty
    case embedding
    case positions
    case head
    case notALayer
    case optimizer
    case notTargeted
    case ignored(selector: String)
    case skippedByOverride
    case noStages
    case unknownLayout
  }

  /// The stages of one weight, with everything resolved.
  public struct Compression: Sendable, Hashable {
    public var view: WeightView
    public var stages: [ResolvedStage]
    /// What was changed on the way from the recipe to this weight, such as a smaller group.
    public var notes: [String]

    public init(view: WeightView, stages: [ResolvedStage], notes: [String]) {
      self.view = view
      self.stages = stages
      self.notes = notes
    }
  }
}

/// A stage with the choices made for one weight.
public enum ResolvedStage: Sendable, Hashable {
  case quantize(IntegerScheme)
  /// Round-to-nearest onto another number format than integers.
  case format(ResolvedFormat)
  case hqq(IntegerScheme)
  /// Calibrated: needs the statistics of the weight's input.
  case gptq(IntegerScheme, GPTQOptions)
  /// Rounded to nearest, then the scales fitted to the codes; calibrated.
  case refitted(IntegerScheme)
  case prune(PrunePattern)
  case lowRank(of: LowRankSubject, rank: Int, factorType: DType)
  case outliers(count: Int, valueType: DType)
  /// Calibrated: the columns that the largest inputs meet.
  case activationOutliers(count: Int, valueType: DType)
  case channelScale(alpha: Double)
  /// With one range for the whole tensor calibrated: the range comes from the statistics.
  case activations(ActivationScheme)

  /// Whether the stage needs the statistics of the weight's input.
  var isCalibrated: Bool {
    switch self {
    case .gptq, .refitted, .activationOutliers: true
    case .activations(let scheme): scheme.granularity == .tensor(maximum: nil)
    default: false
    }
  }

  /// Which entries a pruning stage removes.
  public enum PrunePattern: Sendable, Hashable {
    /// This share of the matrix.
    case fraction(Double)
    /// All but `kept` of every `of` consecutive inputs.
    case keeping(Int, of: Int)
  }

  /// What a low-rank path stands for.
  public enum LowRankSubject: String, Sendable, Hashable {
    case weight, error
  }
}

extension TensorDecision.LeaveReason: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notAMatrix(let rank): rank == 0 ? "a scalar" : "a vector"
    case .notFloatingPoint(let dtype): "\(dtype.rawValue) values"
    case .empty: "empty"
    case .embedding: "embedding, dense unless targeted"
    case .positions: "position table, dense unless targeted"
    case .head: "output head, dense unless targeted"
    case .notALayer: "no layer's weight"
    case .optimizer: "optimizer state"
    case .notTargeted: "not in targets"
    case .ignored(let selector): "ignored by '\(selector)'"
    case .skippedByOverride: "skipped by an override"
    case .noStages: "no stage applies"
    case .unknownLayout: "unknown axis layout"
    }
  }
}

extension ResolvedStage: CustomStringConvertible {
  /// What the stage makes of a weight, as a short type: "int4 g128".
  public var description: String {
    switch self {
    case .quantize(let scheme), .hqq(let scheme), .gptq(let scheme, _),
      .refitted(let scheme):
      "int\(scheme.bits)" + (scheme.symmetric ? "" : " asym") + " " + scheme.granularity.shortName
    case .format(let format): format.description
    case .prune(.fraction(let fraction)):
      "sparse \(Int((fraction * 100).rounded()))%"
    case .prune(.keeping(let kept, let of)): "\(kept):\(of)"
    case .lowRank(let subject, let rank, let type):
      (subject == .error ? "+r\(rank)" : "svd r\(rank)") + " \(type.rawValue)"
    case .outliers(let count, let type), .activationOutliers(let count, let type):
      "\(count) columns \(type.rawValue)"
    case .channelScale: "scaled"
    case .activations(let scheme): "inputs \(scheme.name)"
    }
  }
}

extension Granularity {
  /// "tensor", "channel" or "g128".
  var shortName: String {
    switch self {
    case .tensor: "tensor"
    case .channel: "channel"
    case .group(let length): "g\(length)"
    }
  }
}
