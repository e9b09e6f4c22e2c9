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

  /// What is added to the diagonal, relative to its mean; nil for 0.01, or less where weights are
  /// bounded and the text is at least twice as long as the inputs are many.
  public var damping: Double?
  public var order: Order
  /// Whether the scales are fitted again to the codes at the end.
  public var refit: Bool
  /// Inputs between two updates of the rest; no influence on the result but its rounding.
  public var block: Int
  public var precision: Precision
  public var rounding: Rounding
  /// Rounds of `learned`: each visits every code, and fits the scales again.
  public var rounds: Int
  /// Whether weights beyond their grids' ends are moved there before the sweep.
  ///
  /// The others make good most of what it costs, all of them together. On grids fitted before the
  /// sweep, in f32, without masks and weak columns.
  public var bounded: Bool
  /// Inputs kept in f16, those whose rounding would cost most (OWQ); with `order: .activation`
  /// only.
  public var weakColumns: Int

  public init(
    damping: Double? = nil, order: Order = .activation, refit: Bool = true, block: Int = 128,
    precision: Precision = .automatic, rounding: Rounding = .sweep, rounds: Int = 4,
    bounded: Bool = true, weakColumns: Int = 0
  ) {
    self.damping = damping
    self.order = order
    self.refit = refit
    self.block = block
    self.precision = precision
    self.rounding = rounding
    self.rounds = rounds
    self.bounded = bounded
    self.weakColumns = weakColumns
  }

  var usesSingle: Bool {
    switch precision {
    case .automatic: dampingShare >= 1e-3
    case .single: true
    case .double: false
    }
  }

  /// The damping, 0.01 where none was asked for.
  var dampingShare: Double { damping ?? 0.01 }

  /// The options with the damping that fits a weight.
  ///
  /// Damping spreads the loss as if every input were a little loud. With less of it updates reach
  /// further, and push more weights out of their ranges: the coarser the grid, the earlier.
  func settled(bits: Int, rows: Int?, inputs: Int, isMasked: Bool) -> GPTQOptions {
    var result = self
    guard damping == nil, bounded, order == .activation, weakColumns == 0, !isMasked, let rows,
      rows >= 2 * inputs
    else { return result }
    result.damping = bits >= 4 ? 0.003 : bits == 3 ? 0.005 : 0.01
    return result
  }

  /// Visits of every input that move weights into their ranges; nil for none.
  ///
  /// The fewer the bits, the more weights are held.
  func boundPasses(bits: Int) -> Int? {
    guard bounded else { return nil }
    return rounding == .learned || bits < 4 ? 3 : 1
  }

  /// The options of learned rounding's second start; nil where less damping would follow the text's
  /// own chance, or leave f32's reach.
  func withLessDamping(rows: Int?, inputs: Int) -> GPTQOptions? {
    guard usesSingle, let rows, rows >= 2 * inputs, dampingShare > 1e-3 else { return nil }
    var other = self
    other.damping = max(dampingShare / 10, 1e-3)
    return other
  }

  func check() throws(QuantizationError) {
    guard dampingShare >= 0, dampingShare <= 1 else {
      throw .optionOutOfRange(name: "damping", value: "\(dampingShare)", allowed: "from 0 to 1")
    }
    guard (1...1 << 20).contains(block) else {
      throw .optionOutOfRange(name: "block", value: "\(block)", allowed: "from 1 to 1048576")
    }
    guard (1...100).contains(rounds) else {
      throw .optionOutOfRange(name: "rounds", value: "\(rounds)", allowed: "from 1 to 100")
    }
  }
}
