/// The `truncation` and `padding` blocks of a tokenizer file.
public struct LengthLimits: Sendable, Hashable {
  /// From which end tokens go, or at which end padding comes.
  public enum Side: String, Sendable, CaseIterable {
    case left = "Left"
    case right = "Right"
  }

  /// Cuts to a number of tokens, special ones counted.
  public struct Truncation: Sendable, Hashable {
    public var maximum: Int
    public var side: Side
  }

  /// Fills up to a fixed number or a multiple; a single text has no batch to be as long as.
  public struct Padding: Sendable, Hashable {
    public var length: Int?
    public var multiple: Int?
    public var side: Side
    public var id: Int32
  }

  public var truncation: Truncation?
  public var padding: Padding?

  /// The tokens cut so that `added` more fit.
  func truncated(_ ids: [Int32], added: Int) -> [Int32] {
    guard let truncation else { return ids }
    let room = max(truncation.maximum - added, 0)
    guard ids.count > room else { return ids }
    return truncation.side == .right ? Array(ids.prefix(room)) : Array(ids.suffix(room))
  }

  /// The tokens filled up.
  func padded(_ ids: [Int32]) -> [Int32] {
    guard let padding else { return ids }
    var target = padding.length ?? ids.count
    if let multiple = padding.multiple, multiple > 0, target % multiple != 0 {
      target += multiple - target % multiple
    }
    guard target > ids.count else { return ids }
    let fill = [Int32](repeating: padding.id, count: target - ids.count)
    return padding.side == .right ? ids + fill : fill + ids
  }
}
