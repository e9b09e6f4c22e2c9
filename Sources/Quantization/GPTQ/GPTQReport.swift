import LinearAlgebra

/// What was done to one weight, nothing of it silent.
public struct GPTQReport: Sendable, Hashable {
  /// Every try at the factor; the last one succeeded.
  public var attempts: [CholeskyAttempt] = []
  /// What the factor was damped with, relative to the mean diagonal.
  public var dampingUsed = 0.0
  /// Inputs that calibration never saw; their weights are stored as zeros.
  public var deadColumns: [Int] = []
  /// Inputs that OWQ keeps in f16, ascending.
  public var weakColumns: [Int] = []
  /// Weights that their grids cannot reach, moved to the grids' ends before the sweep (`bounded`).
  public var heldWeights = 0
  /// tr(D·H'·Dᵀ) with D what the sweep changed and H' the damped Gram matrix, by the sweep's own
  /// sum of squared errors over squared pivots.
  public var dampedError = 0.0
  /// tr(D·H·Dᵀ) after the sweep, without the damping.
  public var sweepError = 0.0
  /// What the refit of the scales did; nil when it was not asked for.
  public var refit: ScaleRefit.Report?
  /// What every round of the descent did; empty without it.
  public var descents: [CodeDescent.Report] = []
  /// Whether the statistics say nothing (a Gram matrix of zeros), so that codes were rounded to
  /// the nearest instead.
  public var isUninformed = false
  /// What a person should know, with the numbers.
  public var warnings: [String] = []

  /// tr(D·H·Dᵀ) at the end.
  public var weightedError: Double {
    min(refit?.after ?? sweepError, descents.last?.after ?? .infinity)
  }
}
