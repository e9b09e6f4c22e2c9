import LinearAlgebra

/// How SparseGPT sweeps.
public struct SparseGPTOptions: Sendable, Hashable {
  /// What is added to the diagonal, relative to its mean.
  public var damping: Double
  /// Inputs whose part of a fraction is chosen at once: fewer see fresher weights, more can share;
  /// nil: 32, or 64 from 2,048 inputs on.
  public var block: Int?
  /// Steps of conjugate gradients on the survivors after the sweep, which alone lets only later
  /// inputs make good what earlier ones lost; 0 leaves the sweep's values.
  public var steps: Int
  /// The same where survivors are rounded: they are settled first.
  public var stepsBeforeRounding: Int

  public init(
    damping: Double = 0.01, block: Int? = nil, steps: Int = 1, stepsBeforeRounding: Int = 6
  ) {
    self.damping = damping
    self.block = block
    self.steps = steps
    self.stepsBeforeRounding = stepsBeforeRounding
  }

  func block(columns: Int) -> Int { block ?? (columns < 2048 ? 32 : 64) }

  func check() throws(PruningError) {
    guard damping >= 0, damping <= 1 else {
      throw .optionOutOfRange(name: "damping", value: "\(damping)", allowed: "from 0 to 1")
    }
    if let block, !(1...SparseSweep.longestRun).contains(block) {
      throw .optionOutOfRange(
        name: "block", value: "\(block)", allowed: "from 1 to \(SparseSweep.longestRun)")
    }
    for (name, value) in [("steps", steps), ("stepsBeforeRounding", stepsBeforeRounding)] {
      guard (0...1000).contains(value) else {
        throw .optionOutOfRange(name: name, value: "\(value)", allowed: "from 0 to 1000")
      }
    }
  }
}

/// What was done to one weight, nothing of it silent.
public struct SparseGPTReport: Sendable, Hashable {
  /// Every try at the factor; the last one succeeded.
  public var attempts: [CholeskyAttempt] = []
  /// What the factor was damped with, relative to the mean diagonal.
  public var dampingUsed = 0.0
  /// Inputs that calibration never saw; their weights become zero.
  public var deadColumns: [Int] = []
  /// tr(D·H'·Dᵀ) with D what the sweep changed and H' the damped Gram matrix, by the sweep's own
  /// sum of squared errors over squared pivots.
  public var dampedError = 0.0
  /// tr(D·H·Dᵀ), without the damping.
  public var weightedError = 0.0
  /// Whether the statistics say nothing (a Gram matrix of zeros), so that magnitudes decided.
  public var isUninformed = false
  /// What a person should know, with the numbers.
  public var warnings: [String] = []
}
