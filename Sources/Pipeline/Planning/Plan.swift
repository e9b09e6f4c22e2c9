import Architectures
import Checkpoints
import Recipes
import RunRecords
import Tensors

/// Everything resolved: what happens to every tensor, what it will take, and nothing touched yet.
public struct Plan: Sendable {
  public let recipe: Recipe
  /// The model; as its rotations leave it, where the recipe has any.
  public internal(set) var source: any TensorSource
  public internal(set) var tensors: [PlannedTensor]
  public internal(set) var forecast: Forecast
  public let warnings: [String]
  public let options: PlanOptions
  /// Statistics from a file that calibrated stages use; nil when the recipe has none.
  public var calibration: CalibrationInput?
  /// How the run gathers statistics itself; nil when it needs none, or has them from a file.
  public var calibrationPlan: CalibrationPlan?
  /// How the run finds stored scales of keys and values; nil when the recipe has none.
  public var keyValueCalibration: KeyValueCalibration?
  /// How a run of the artefact will keep keys and values; nil: exactly.
  public internal(set) var keyValueCache: KeyValueRecord?
  /// What was done to the model around its weights so far, in order.
  public internal(set) var edits: [ModelEdit] = []
  /// The smoothing that the run begins with; nil when there is none, or it is done.
  public internal(set) var smoothing: SmoothOptions?
}

/// What a run may use.
public struct PlanOptions: Sendable, Hashable {
  /// The cap on memory in bytes; nil is four fifths of the machine's.
  public var memoryLimit: Int?
  public var workers: Int
  /// Whether source tensors and stored datasets are hashed.
  public var hashing: Bool
  /// Whether parts and the output are flushed to the disk before they count.
  public var durable: Bool
  /// A tokenizer.json for the calibration text, in place of the model's own.
  public var tokenizer: String?

  public init(
    memoryLimit: Int? = nil, workers: Int, hashing: Bool = true, durable: Bool = true,
    tokenizer: String? = nil
  ) {
    self.tokenizer = tokenizer
    self.memoryLimit = memoryLimit
    self.workers = workers
    self.hashing = hashing
    self.durable = durable
  }
}

/// One tensor of a plan.
public struct PlannedTensor: Sendable {
  public let index: Int
  public let tensor: TensorDescription
  public let decision: TensorDecision
  /// Bytes that the tensor will take in the artefact, headers not counted.
  public let storedBytes: Int
  /// Memory that its job needs at its peak, in bytes.
  public let peakBytes: Int
  /// Processor time that its job is expected to take.
  public let seconds: Double

  /// What the tensor becomes, as a short type.
  public var storedType: String {
    switch decision {
    case .leave: tensor.dtype.rawValue
    case .tied(let name): "tied to \(name)"
    case .compress(let compression):
      compression.stages.map(\.description).joined(separator: ", ")
    }
  }

  /// Why.
  public var reason: String {
    switch decision {
    case .leave(let reason): reason.description
    case .tied: "same storage"
    case .compress: "targeted"
    }
  }
}

/// What a plan expects of its run.
public struct Forecast: Sendable, Hashable {
  public var sourceBytes: Int
  public var storedBytes: Int
  public var compressedElements: Int
  public var compressedBytes: Int
  /// The process's memory at its peak, libraries included.
  public var peakBytes: Int
  public var seconds: Double
  /// Disk space that the run takes for a while: parts and the output.
  public var diskBytes: Int

  /// Bits per weight of the compressed tensors.
  public var bitsPerWeight: Double {
    compressedElements == 0 ? 0 : Double(compressedBytes) * 8 / Double(compressedElements)
  }
}
