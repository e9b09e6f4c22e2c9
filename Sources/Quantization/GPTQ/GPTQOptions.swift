/// How GPTQ sweeps.
public struct GPTQOptions: Sendable, Hashable {
  /// The order in which a row's inputs are rounded; codes are stored in their own order always.
  public enum Order: String, Sendable, Hashable, CaseIterable {
    /// As they lie.
    case none
    /// The loudest inputs first, on grids that were fitted before the sweep ("static groups"), so
    /// that no input needs a group number of its own.
    case activation
    /// Groups by their loudest input, the loudest first within each: groups stay together, so that
    /// their grids are fitted on the updated weights.
    case groups
  }

  /// The arithmetic of the factor and the sweep.
  public enum Precision: String, Sendable, Hashable, CaseIterable {
    /// f32 where the damping keeps the factor well conditioned (1e-3 and more), f64 below.
    case automatic, single, double
  }

  /// How codes are chosen in the end.
  public enum Rounding: String, Sendable, Hashable, CaseIterable {
    /// By the sweep.
    case sweep
    /// By the sweep, then coordinate descent on the layer's error, in turn with the scales where
    /// `refit` is on; never worse than the sweep. Where there are twice as many calibration rows as
    /// inputs, a sweep with a tenth of the damping is tried as a start too.
    case learned
  }

  /// What is added to the diagonal, relative to its mean.
  public var damping: Double
  public var order: Order
  /// Whether the scales are fitted again to the codes at the end.
  public var refit: Bool
  /// Inputs between two updates of the rest; no influence on the result but its rounding.
  public var block: Int
  public var precision: Precision
  public var rounding: Rounding
  /// Rounds of `learned`: each visits every code, and fits the scales again.
  public var rounds: Int
  /// Inputs kept in f16, those whose rounding would cost most (OWQ); with `order: .activation`
  /// only.
  public var weakColumns: Int

  public init(
    damping: Double = 0.01, order: Order = .activation, refit: Bool = true, block: Int = 128,
    precision: Precision = .automatic, rounding: Rounding = .sweep, rounds: Int = 4,
    weakColumns: Int = 0
  ) {
    self.damping = damping
    self.order = order
    self.refit = refit
    self.block = block
    self.precision = precision
    self.rounding = rounding
    self.rounds = rounds
    self.weakColumns = weakColumns
  }

  var usesSingle: Bool {
    switch precision {
    case .automatic: damping >= 1e-3
    case .single: true
    case .double: false
    }
  }

  /// The options of learned rounding's second start; nil where less damping would follow the text's
  /// own chance, or leave f32's reach.
  func withLessDamping(rows: Int?, inputs: Int) -> GPTQOptions? {
    guard usesSingle, let rows, rows >= 2 * inputs, damping > 1e-3 else { return nil }
    var other = self
    other.damping = max(damping / 10, 1e-3)
    return other
  }

  func check() throws(QuantizationError) {
    guard damping >= 0, damping <= 1 else {
      throw .optionOutOfRange(name: "damping", value: "\(damping)", allowed: "from 0 to 1")
    }
    guard (1...1 << 20).contains(block) else {
      throw .optionOutOfRange(name: "block", value: "\(block)", allowed: "from 1 to 1048576")
    }
    guard (1...100).contains(rounds) else {
      throw .optionOutOfRange(name: "rounds", value: "\(rounds)", allowed: "from 1 to 100")
    }
  }
}
