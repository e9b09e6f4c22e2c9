/// What to do to which weights of a model: the typed form of a recipe file.
///
/// Equality is of meaning and names; where things stood in the file takes no part in it.
public struct Recipe: Sendable, Hashable {
  /// The version of the recipe language that this build reads.
  public static let currentVersion = 1

  public var version: Int
  public var name: String
  public var description: String?
  /// Which tensors; nil means every weight matrix except embeddings and heads.
  public var targets: [Selector]?
  /// Which of those stay as they are.
  public var ignore: [Selector]
  /// Whether a group that doesn't divide a width is an error instead of a smaller group.
  public var strictGroups: Bool
  public var seed: UInt64
  public var calibration: Calibration
  /// How keys and values are kept while the model runs; nil: exactly.
  public var keyValueCache: KeyValueOptions?
  /// Applied in order.
  public var stages: [Stage]
  /// Applied in order, the last one wins; see `stages(for:)`.
  public var overrides: [Override]
  /// The file that it was read from, for messages.
  @Incidental public var file: String
  /// What the parser found odd but not wrong.
  @Incidental public var warnings: [RecipeDiagnostic]

  public init(
    name: String, description: String? = nil, targets: [Selector]? = nil, ignore: [Selector] = [],
    strictGroups: Bool = false, seed: UInt64 = 0, calibration: Calibration = Calibration(),
    keyValueCache: KeyValueOptions? = nil, stages: [Stage], overrides: [Override] = []
  ) {
    version = Self.currentVersion
    self.name = name
    self.description = description
    self.targets = targets
    self.ignore = ignore
    self.strictGroups = strictGroups
    self.seed = seed
    self.calibration = calibration
    self.keyValueCache = keyValueCache
    self.stages = stages
    self.overrides = overrides
    file = "<recipe>"
    warnings = []
  }
}

/// The text that calibrated methods gather their statistics from.
public struct Calibration: Sendable, Hashable {
  /// Where the rows come from.
  public enum Source: Sendable, Hashable {
    /// The text that comes with the tool.
    case builtin
    /// Text that the model itself generates.
    case model
    /// A text or token file.
    case file(String)
  }

  public var data: Source
  /// How many sequences.
  public var sequences: Int
  /// Tokens in each.
  public var length: Int

  public init(data: Source = .builtin, sequences: Int = 128, length: Int = 512) {
    self.data = data
    self.sequences = sequences
    self.length = length
  }
}
