/// What becomes of a group size that does not divide a width.
public enum GroupFallback {
  /// The reach of a scale for groups of `requested` inputs on a width of `columns`.
  ///
  /// The size itself where it divides the width; else the largest power of two below it that
  /// does, not below 16; else one scale per output channel. A note says what was changed and why,
  /// nil when nothing was.
  public static func resolve(
    requested: Int, columns: Int
  ) -> (granularity: Granularity, note: String?) {
    precondition(requested >= 1, "groups of \(requested)")
    if columns > 0, columns % requested == 0 { return (.group(requested), nil) }
    var size = 1
    while size * 2 < requested { size *= 2 }
    while size >= 16 {
      if columns > 0, columns % size == 0 {
        return (.group(size), "group \(size): \(requested) does not divide \(columns)")
      }
      size /= 2
    }
    return (
      .channel,
      "per channel: neither \(requested) nor a smaller power of two from 16 divides \(columns)"
    )
  }
}
