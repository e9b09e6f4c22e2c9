import LinearAlgebra
import LowRank
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

extension TensorDecision.Compression {
  /// Puts stages that need no statistics in place of those that do.
  ///
  /// - Throws: `PipelineError.lookedUp` where there is none.
  mutating func uncalibrate(tensor: String) throws(PipelineError) {
    guard stages.contains(where: \.isCalibrated) else { return }
    for index in stages.indices {
      guard let other = stages[index].uncalibrated else {
        throw .lookedUp(tensor: tensor, stage: stages[index].description)
      }
      stages[index] = other
    }
    notes.append("rows are looked up, not multiplied: rounded to the nearest")
  }
}

/// A stage with the choices made for one weight.
public enum ResolvedStage: Sendable, Hashable {
  case quantize(IntegerScheme)
  /// Round-to-nearest onto another number format than integers.
  case format(ResolvedFormat)
  case hqq(IntegerScheme)
  /// Calibrated: another number format than integers as GPTQ's grid.
  case gptqFormat(ResolvedFormat, GPTQOptions)
  /// Calibrated: needs the statistics of the weight's input.
  case gptq(IntegerScheme, GPTQOptions)
  /// Rounded to nearest, then the scales fitted to the codes; calibrated.
  case refitted(IntegerScheme)
  /// The same onto another number format than integers.
  case refittedFormat(ResolvedFormat)
  case prune(PruneChoice)
  case lowRank(LowRankChoice)
  case outliers(count: Int, valueType: DType)
  /// Calibrated: the columns that the largest inputs meet.
  case activationOutliers(count: Int, valueType: DType)
  /// Rounded to nearest on ranges chosen for the layer's output; calibrated.
  case weightedRounding(IntegerScheme)
  case channelScale(ScaleOrigin)
  case hadamard(HadamardRotation)
  /// With one range for the whole tensor calibrated: the range comes from the statistics.
  case activations(ActivationScheme)

  /// Whether the stage needs the statistics of the weight's input.
  var isCalibrated: Bool {
    switch self {
    case .gptq, .gptqFormat, .refitted, .refittedFormat, .weightedRounding, .activationOutliers:
      true
    case .prune(let choice): choice.isCalibrated
    case .lowRank(let choice): choice.isCalibrated
    case .activations(let scheme): scheme.isCalibrated && scheme.maximum == nil
    default: false
    }
  }

  /// Where the scale of a weight's inputs comes from.
  public enum ScaleOrigin: Sendable, Hashable {
    /// The weight's own columns.
    case columns(alpha: Double)
    /// The model's smoothing, which is computed when the run starts.
    case smoothing
    /// The same, computed.
    case given([Float])
  }

  /// The stage that does the same without statistics, if there is one: a table's rows are looked
  /// up, not multiplied, and each of its values counts alike.
  var uncalibrated: ResolvedStage? {
    switch self {
    case .gptq(let scheme, _), .refitted(let scheme), .weightedRounding(let scheme):
      .quantize(scheme)
    case .gptqFormat(let format, _), .refittedFormat(let format): .format(format)
    default: isCalibrated ? nil : self
    }
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
    case .quantize(let scheme), .hqq(let scheme), .gptq(let scheme, _), .refitted(let scheme),
      .weightedRounding(let scheme):
      "int\(scheme.bits)" + (scheme.symmetric ? "" : " asym") + " " + scheme.granularity.shortName
    case .prune(let choice): choice.description
    case .format(let format), .gptqFormat(let format, _), .refittedFormat(let format):
      format.description
    case .lowRank(let choice): choice.description
    case .outliers(let count, let type), .activationOutliers(let count, let type):
      "\(count) columns \(type.rawValue)"
    case .channelScale: "scaled"
    case .activations(let scheme): "inputs \(scheme.name)"
    case .hadamard: "rotated"
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
