/// A line that says how far a run is and how long it will take, from what it has done so far.
public struct ProgressLine: Sendable {
  private let start: ContinuousClock.Instant

  public init(start: ContinuousClock.Instant = .now) { self.start = start }

  /// The line's text, cut to a width.
  ///
  /// The time left is what the rest takes at the mean rate so far; until a twentieth is done it
  /// says nothing, as a guess from so little would be no honest one.
  public func text(
    done: Int, total: Int, current: String, now: ContinuousClock.Instant = .now, width: Int = 80
  ) -> String {
    let share = total > 0 ? min(1, Double(done) / Double(total)) : 1
    let elapsed =
      Double((now - start).components.seconds)
      + Double((now - start).components.attoseconds) * 1e-18
    var text = "\(Format.fixed(share * 100, 0))%  \(Format.duration(elapsed))"
    if share >= 0.05, share < 1 {
      text += ", about \(Format.duration(elapsed / share * (1 - share))) left"
    }
    let room = width - text.count - 2
    return room > 8 ? text + "  " + TextTable.shortened(current, to: room) : text
  }
}
