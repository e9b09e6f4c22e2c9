import Kernels
import Tensors

/// What two models say of one token: this one (q) and a reference (p).
public struct RowComparison: Sendable, Hashable {
  /// −log q(target) and −log p(target), natural logarithms.
  public let negativeLogLikelihood: Double
  public let referenceNegativeLogLikelihood: Double
  /// KL(p ‖ q) = Σ p·(log p − log q) ≥ 0, in nats.
  public let divergence: Double
  /// The most likely tokens; the smallest numbers among equals.
  public let top: Int32
  public let referenceTop: Int32
}

extension LanguageModel {
  /// Scores a target per row under this model and a reference, with the divergence of the two.
  ///
  /// Logits of both are made a tile of the vocabulary at a time, never whole. A model compared with
  /// itself has a divergence of exactly 0.
  ///
  /// - Parameters:
  ///   - hidden: this model's final hidden states; `referenceHidden` the reference's, same rows.
  ///   - targets: as for `scores`.
  /// - Throws: `ModelError.differentVocabularies`, and what `scores` throws.
  public func comparisons(
    of hidden: Matrix<Float>, with reference: LanguageModel, _ referenceHidden: Matrix<Float>,
    targets: [Int32]
  ) throws -> [RowComparison?] {
    precondition(
      targets.count == hidden.rows && hidden.rows == referenceHidden.rows, "rows of one batch")
    let (own, other) = (try requireHead(), try reference.requireHead())
    guard own.vocabulary == other.vocabulary else {
      throw ModelError.differentVocabularies(model: own.vocabulary, reference: other.vocabulary)
    }
    let rows = targets.indices.filter { targets[$0] >= 0 }
    let pair = HeadPair(
      head: own, reference: other,
      x: own.prepared(hidden.picking(rows), pool: pool),
      referenceX: other.prepared(referenceHidden.picking(rows), pool: pool),
      targets: rows.map { targets[$0] }, scratch: trunk.scratch)
    let found = try pair.comparisons(pool: pool)
    var result: [RowComparison?] = Array(repeating: nil, count: targets.count)
    for (index, row) in rows.enumerated() { result[row] = found[index] }
    return result
  }
}

/// Two heads over the same rows.
private struct HeadPair: Sendable {
  let head: VocabularyHead
  let reference: VocabularyHead
  let x: Matrix<Float>
  let referenceX: Matrix<Float>
  let targets: [Int32]
  let scratch: ScratchMemory

  /// A model's side of a stripe: its largest logit, Σ exp(logit − largest), the target's logit.
  struct Side: Sendable {
    var largest: Float = -.infinity
    var top: Int32 = 0
    var sum = 0.0
    var target: Float = -.infinity

    /// Rescales the sum to a larger shift and returns the factor.
    mutating func raise(to shift: Float, top newTop: Int32) -> Double {
      guard shift > largest else { return 1 }
      let factor = largest == -.infinity ? 0 : expDouble(Double(largest) - Double(shift))
      sum *= factor
      (largest, top) = (shift, newTop)
      return factor
    }

    var normalizer: Double { Double(largest) + logDouble(sum) }
  }

  /// Both sides and Σ exp(p − largest p)·(p − q).
  struct Partial: Sendable {
    var own = Side()
    var reference = Side()
    var gap = 0.0

    mutating func add(_ other: Partial) {
      var other = other
      if other.reference.largest > reference.largest {
        gap *= reference.raise(to: other.reference.largest, top: other.reference.top)
      } else {
        other.gap *= other.reference.raise(to: reference.largest, top: reference.top)
      }
      if other.own.largest > own.largest {
        _ = own.raise(to: other.own.largest, top: other.own.top)
      } else {
        _ = other.own.raise(to: own.largest, top: own.top)
      }
      gap += other.gap
      reference.sum += other.reference.sum
      own.sum += other.own.sum
      own.target = max(own.target, other.own.target)
      reference.target = max(reference.target, other.reference.target)
    }
  }

  func comparisons(pool: WorkerPool) throws -> [RowComparison] {
    let (tileRows, stripeTokens) = (VocabularyHead.tileRows, VocabularyHead.stripeTokens)
    let rowTiles = (x.rows + tileRows - 1) / tileRows
    let stripes = (head.vocabulary + stripeTokens - 1) / stripeTokens
    let parts = try pool.map(rowTiles * stripes) { (tile: Int) -> [Partial] in
      let first = tile / stripes * tileRows
      let start = tile % stripes * stripeTokens
      return partials(
        first..<min(first + tileRows, x.rows), start..<min(start + stripeTokens, head.vocabulary))
    }
    return try (0..<x.rows).map { row in
      let tile = row / tileRows * stripes
      var total = parts[tile][row % tileRows]
      for stripe in 1..<max(stripes, 1) { total.add(parts[tile + stripe][row % tileRows]) }
      let (own, other) = (total.own.normalizer, total.reference.normalizer)
      guard own.isFinite, other.isFinite else { throw ModelError.notFiniteLogits(row: row) }
      // Rounding may leave a number of −1e-7 where the two agree.
      let divergence = max(0, total.gap / total.reference.sum - (other - own))
      return RowComparison(
        negativeLogLikelihood: own - Double(total.own.target),
        referenceNegativeLogLikelihood: other - Double(total.reference.target),
        divergence: divergence, top: total.own.top, referenceTop: total.reference.top)
    }
  }

  private func partials(_ rows: Range<Int>, _ stripe: Range<Int>) -> [Partial] {
    var result = Array(repeating: Partial(), count: rows.count)
    let width = VocabularyHead.tileTokens
    scratch.with(2 * rows.count * width) { memory in
      let (own, other) = (memory, memory + rows.count * width)
      for first in stride(from: stripe.lowerBound, to: stripe.upperBound, by: width) {
        let tokens = first..<min(first + width, stripe.upperBound)
        fill(own, head, x, rows, tokens)
        fill(other, reference, referenceX, rows, tokens)
        for row in 0..<rows.count {
          add(
            own + row * width, other + row * width, tokens,
            target: Int(targets[rows.lowerBound + row]), to: &result[row])
        }
      }
    }
    return result
  }

  private func fill(
    _ logits: UnsafeMutablePointer<Float>, _ head: VocabularyHead, _ x: Matrix<Float>,
    _ rows: Range<Int>, _ tokens: Range<Int>
  ) {
    x.values.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      head.logits(
        base + rows.lowerBound * head.width, rows: rows.count, tokens: tokens, into: logits,
        stride: VocabularyHead.tileTokens, scratch: scratch)
    }
  }

  private func add(
    _ own: UnsafePointer<Float>, _ other: UnsafePointer<Float>, _ tokens: Range<Int>, target: Int,
    to partial: inout Partial
  ) {
    var index = 0
    let ownLargest = pith_largest(own, tokens.count, &index)
    _ = partial.own.raise(to: ownLargest, top: Int32(tokens.lowerBound + index))
    let otherLargest = pith_largest(other, tokens.count, &index)
    partial.gap *= partial.reference.raise(
      to: otherLargest, top: Int32(tokens.lowerBound + index))
    var sums = (0.0, 0.0, 0.0)
    withUnsafeMutableBytes(of: &sums) { bytes in
      guard let target = bytes.baseAddress?.assumingMemoryBound(to: Double.self) else { return }
      pith_divergence_sums(
        other, own, tokens.count, partial.reference.largest, partial.own.largest, target)
    }
    partial.reference.sum += sums.0
    partial.gap += sums.1
    partial.own.sum += sums.2
    guard tokens.contains(target) else { return }
    partial.own.target = own[target - tokens.lowerBound]
    partial.reference.target = other[target - tokens.lowerBound]
  }
}
