import Kernels
import LinearAlgebra
import Tensors

extension VocabularyHead {
  /// What a stripe of the vocabulary says of each row: its largest logit, Σ exp(logit − largest).
  struct Partial: Sendable {
    var largest: Float = -.infinity
    var top: Int32 = 0
    var sum = 0.0
    var target: Float = -.infinity

    mutating func add(_ logits: UnsafePointer<Float>, tokens: Range<Int>, target token: Int) {
      // Where the largest lies is asked for only when it is a new one.
      let tileLargest = pith_maximum(logits, tokens.count)
      if tileLargest > largest {
        var index = 0
        _ = pith_largest(logits, tokens.count, &index)
        sum *= exponential(Double(largest) - Double(tileLargest))
        largest = tileLargest
        top = Int32(tokens.lowerBound + index)
      }
      sum += pith_sum_exp(logits, tokens.count, largest)
      if tokens.contains(token) { target = logits[token - tokens.lowerBound] }
    }

    mutating func add(_ other: Partial) {
      if other.largest > largest {
        sum = sum * exponential(Double(largest) - Double(other.largest)) + other.sum
        largest = other.largest
        top = other.top
      } else {
        sum += other.sum * exponential(Double(other.largest) - Double(largest))
      }
      target = max(target, other.target)
    }

    /// Log-sum-exp of everything added.
    var normalizer: Double { Double(largest) + logDouble(sum) }

    /// The score of a row whose whole vocabulary was added.
    ///
    /// - Throws: `ModelError.notFiniteLogits`.
    func score(row: Int) throws(ModelError) -> RowScore {
      let normalizer = normalizer
      guard normalizer.isFinite else { throw .notFiniteLogits(row: row) }
      return RowScore(
        negativeLogLikelihood: normalizer - Double(target), top: top,
        topLogProbability: Double(largest) - normalizer, normalizer: normalizer)
    }

    /// exp, with 0 for the difference of two infinities (nothing seen yet).
    private func exponential(_ difference: Double) -> Double {
      difference.isNaN || difference == -.infinity ? 0 : expDouble(difference)
    }
  }

  /// Scores a target per row without ever holding a row of logits whole.
  ///
  /// Tiles of rows × stripes of the vocabulary are shared out; stripes are merged in order.
  func scores(
    _ x: Matrix<Float>, targets: [Int32], scratch: ScratchMemory, pool: WorkerPool
  ) throws -> [RowScore] {
    let stripes = (vocabulary + Self.stripeTokens - 1) / Self.stripeTokens
    // Few stripes leave rows to share out.
    let step = stripes > 2 ? Self.scoredRows : Self.tileRows
    let rowTiles = (x.rows + step - 1) / step
    let parts = try pool.map(rowTiles * stripes) { (tile: Int) -> [Partial] in
      let first = tile / stripes * step
      let rows = first..<min(first + step, x.rows)
      let start = tile % stripes * Self.stripeTokens
      let end = min(start + Self.stripeTokens, vocabulary)
      return partials(x, rows, start..<end, targets: targets, scratch: scratch)
    }
    // A page fault at a stripe's end may bring in pages that another worker let go already.
    letGo()
    var result: [RowScore] = []
    result.reserveCapacity(x.rows)
    for row in 0..<x.rows {
      let tile = row / step * stripes
      var total = parts[tile][row % step]
      for stripe in 1..<max(stripes, 1) { total.add(parts[tile + stripe][row % step]) }
      result.append(try total.score(row: row))
    }
    return result
  }

  /// Scores the rows whose target is not negative; nil for the others, which cost nothing.
  func scoresOfTargets(
    _ hidden: Matrix<Float>, targets: [Int32], scratch: ScratchMemory, pool: WorkerPool
  ) throws -> [RowScore?] {
    let rows = targets.indices.filter { targets[$0] >= 0 }
    let picked = rows.count == hidden.rows ? hidden : hidden.picking(rows)
    let found = try scores(
      prepared(picked, pool: pool), targets: rows.map { targets[$0] }, scratch: scratch,
      pool: pool)
    var result: [RowScore?] = Array(repeating: nil, count: hidden.rows)
    for (index, row) in rows.enumerated() { result[row] = found[index] }
    return result
  }

  private func partials(
    _ x: Matrix<Float>, _ rows: Range<Int>, _ stripe: Range<Int>, targets: [Int32],
    scratch: ScratchMemory
  ) -> [Partial] {
    var result = Array(repeating: Partial(), count: rows.count)
    guard isPackable, rows.count > Self.reducedRows else {
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.tileRows) {
        let part = first..<min(first + Self.tileRows, rows.upperBound)
        forEachTile(x, part, stripe, scratch: scratch) { row, logits, tokens in
          result[first - rows.lowerBound + row].add(
            logits, tokens: tokens, target: Int(targets[first + row]))
        }
      }
      return result
    }
    // The product's tile and the logits of a few rows stay in the second-level cache.
    let width = RowProduct.packedOutputs
    scratch.with(Self.reducedRows * width) { logits in
      RowProduct.withPanels { panels in
        for token in stride(from: stripe.lowerBound, to: stripe.upperBound, by: width) {
          let tokens = token..<min(token + width, stripe.upperBound)
          pack(tokens, into: panels, scratch: scratch)
          for row in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.reducedRows) {
            let count = min(Self.reducedRows, rows.upperBound - row)
            multiply(x, row, count, byPacked: panels, tokens, into: logits, stride: width)
            for next in row..<row + count {
              result[next - rows.lowerBound].add(
                logits + (next - row) * width, tokens: tokens, target: Int(targets[next]))
            }
          }
        }
      }
    }
    return result
  }

  private func multiply(
    _ x: Matrix<Float>, _ row: Int, _ rows: Int, byPacked panels: UnsafePointer<Float>,
    _ tokens: Range<Int>, into logits: UnsafeMutablePointer<Float>, stride: Int
  ) {
    x.values.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      RowProduct.multiply(
        base + row * x.columns, rows: rows, xStride: x.columns, byPacked: panels,
        outputs: tokens.count, columns: x.columns, into: logits, yStride: stride)
    }
    addBias(tokens, to: logits, rows: rows, stride: stride)
  }

  /// Hands out the logits of some rows for some tokens, a tile of the vocabulary at a time.
  ///
  /// - Parameter body: called with a row counted from the first, its logits, and their tokens, in
  ///   the tokens' order.
  func forEachTile(
    _ x: Matrix<Float>, _ rows: Range<Int>, _ tokens: Range<Int>, scratch: ScratchMemory,
    _ body: (Int, UnsafePointer<Float>, Range<Int>) -> Void
  ) {
    scratch.with(rows.count * Self.tileTokens) { logits in
      x.values.withUnsafeBufferPointer { source in
        guard let base = source.baseAddress.map({ $0 + rows.lowerBound * width }) else { return }
        for first in stride(from: tokens.lowerBound, to: tokens.upperBound, by: Self.tileTokens) {
          let part = first..<min(first + Self.tileTokens, tokens.upperBound)
          self.logits(
            base, rows: rows.count, tokens: part, into: logits, stride: Self.tileTokens,
            scratch: scratch)
          for row in 0..<rows.count { body(row, logits + row * Self.tileTokens, part) }
        }
      }
    }
  }
}

/// What the logits of one row say.
public struct RowScore: Sendable, Hashable {
  /// −log p(target), natural logarithm.
  public let negativeLogLikelihood: Double
  /// The most likely token; the smallest number among equals.
  public let top: Int32
  /// log p(top).
  public let topLogProbability: Double
  /// The logarithm of Σ exp(logit).
  public let normalizer: Double
}
