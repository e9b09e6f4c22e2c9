import Tensors
import Weights

/// How much is pruned.
public enum PruneAmount: Sendable, Hashable {
  /// This fraction of every row, or of the matrix.
  case fraction(Double, of: SparsityClaim.Scope)
  /// All but the best of every few consecutive inputs.
  case pattern(KeepPattern)

  /// The amount as the artefact states it.
  public var claim: SparsityClaim {
    switch self {
    case .fraction(let fraction, let scope): .fraction(fraction, of: scope)
    case .pattern(let pattern): .pattern(keep: pattern.keep, of: pattern.of)
    }
  }

  /// - Throws: `WeightsError.sparsityOutOfRange` or `.patternInvalid`.
  func check(columns: Int) throws(WeightsError) {
    switch self {
    case .fraction(let fraction, _):
      guard fraction >= 0, fraction <= 1 else { throw .sparsityOutOfRange(fraction) }
    case .pattern(let pattern):
      guard columns % pattern.of == 0 else {
        throw .patternInvalid(keep: pattern.keep, of: pattern.of, columns: columns)
      }
    }
  }
}

/// The entries with the lowest scores, chosen exactly.
///
/// Scores are keys that order as they do: 0 for what was dropped before, which is dropped first
/// and counts; otherwise one more than the pattern of a non-negative f32. Of equals the lower
/// index goes first.
enum MaskChoice {
  /// Keys of scores; `mask` says what was dropped before.
  static func keys(_ scores: Matrix<Float>, mask: Mask?) -> [UInt32] {
    var keys = scores.values.map { $0.bitPattern + 1 }
    guard let mask else { return keys }
    for row in 0..<scores.rows {
      for column in 0..<scores.columns where !mask.isKept(row, column) {
        keys[row * scores.columns + column] = 0
      }
    }
    return keys
  }

  /// What is dropped, a flag an entry.
  static func dropped(
    _ keys: [UInt32], rows: Int, columns: Int, amount: PruneAmount
  ) -> [Bool] {
    var dropped = [Bool](repeating: false, count: keys.count)
    keys.withUnsafeBufferPointer { keys in
      dropped.withUnsafeMutableBufferPointer { dropped in
        switch amount {
        case .fraction(let fraction, .matrix):
          let count = SparsityClaim.dropped(of: keys.count, fraction: fraction)
          drop(count, of: keys, into: dropped)
        case .fraction(let fraction, .row):
          let count = SparsityClaim.dropped(of: columns, fraction: fraction)
          for row in 0..<rows {
            let range = row * columns..<(row + 1) * columns
            drop(
              count, of: UnsafeBufferPointer(rebasing: keys[range]),
              into: UnsafeMutableBufferPointer(rebasing: dropped[range]))
          }
        case .pattern(let pattern):
          for start in stride(from: 0, to: keys.count, by: pattern.of) {
            let range = start..<start + pattern.of
            dropSmallest(
              pattern.of - pattern.keep, of: UnsafeBufferPointer(rebasing: keys[range]),
              into: UnsafeMutableBufferPointer(rebasing: dropped[range]))
          }
        }
      }
    }
    return dropped
  }

  /// Drops so many of the keys, and all that are 0.
  static func drop(
    _ count: Int, of keys: UnsafeBufferPointer<UInt32>,
    into dropped: UnsafeMutableBufferPointer<Bool>
  ) {
    guard count > 0 else {
      for (index, key) in keys.enumerated() { dropped[index] = key == 0 }
      return
    }
    let threshold = RadixSelect.value(rank: count - 1, of: keys)
    var below = 0
    for key in keys where key < threshold { below += 1 }
    // Everything below the threshold goes, and of its equals the first few.
    var equals = count - below
    for (index, key) in keys.enumerated() {
      dropped[index] = key < threshold || key == 0
      if key == threshold, equals > 0 {
        dropped[index] = true
        equals -= 1
      }
    }
  }

  /// The same for few keys, by counting what is smaller.
  private static func dropSmallest(
    _ count: Int, of keys: UnsafeBufferPointer<UInt32>,
    into dropped: UnsafeMutableBufferPointer<Bool>
  ) {
    for (index, key) in keys.enumerated() {
      var smaller = 0
      for (other, value) in keys.enumerated() where value < key || (value == key && other < index) {
        smaller += 1
      }
      dropped[index] = smaller < count || key == 0
    }
  }
}

extension CompressedWeight {
  /// The weight with more of its base masked; what the mask dropped before stays dropped.
  func dropping(_ dropped: [Bool], amount: PruneAmount) -> CompressedWeight {
    let stride = (columns + 7) / 8
    var bytes = [UInt8](repeating: 0, count: rows * stride)
    var count = 0
    for row in 0..<rows {
      for column in 0..<columns {
        if dropped[row * columns + column] {
          count += 1
        } else {
          bytes[row * stride + column / 8] |= 1 << UInt8(column % 8)
        }
      }
    }
    return masked(by: bytes, dropped: count, amount: amount)
  }

  /// The weight with the mask whose bits are given, row by row.
  func masked(by bits: [UInt8], amount: PruneAmount) -> CompressedWeight {
    let kept = bits.reduce(0) { $0 + $1.nonzeroBitCount }
    return masked(by: bits, dropped: rows * columns - kept, amount: amount)
  }

  private func masked(
    by bytes: [UInt8], dropped count: Int, amount: PruneAmount
  ) -> CompressedWeight {
    let stride = (columns + 7) / 8
    var claim: SparsityClaim? = amount.claim
    // More may have been dropped before than is asked for now: then there is nothing to claim.
    if case .fraction(let fraction, let scope) = amount {
      let asked =
        scope == .matrix
        ? SparsityClaim.dropped(of: rows * columns, fraction: fraction)
        : rows * SparsityClaim.dropped(of: columns, fraction: fraction)
      if count > asked { claim = nil }
    }
    var result = self
    result.mask = Mask(
      bits: Tensor(dtype: .u8, shape: [rows, stride], array: bytes), claim: claim)
    return result
  }
}
