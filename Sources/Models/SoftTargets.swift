import Kernels
import LinearAlgebra
import Tensors

/// What a teacher says of some rows, kept in a width of numbers a row instead of a vocabulary.
///
/// With p the teacher's distribution and l = W·h + b the student's logits,
///
///     KL(p ‖ q) = Σ p·log p − Σ p·l + logsumexp(l) = c − m·h + logsumexp(W·h + b),
///
/// where m = Wᵀp and c = Σ p·log p − p·b do not depend on the student's hidden state h: as long
/// as the head itself is not changed, the teacher need not be run again.
public struct SoftTargets: Sendable {
  /// Wᵀp per row, `rows × width`.
  public let means: Matrix<Float>
  /// Σ p·log p − p·b per row, at most 0 without a bias.
  public let constants: [Double]

  /// The bytes that they take.
  public var byteCount: Int { means.values.count * 4 + constants.count * 8 }

  /// Targets of several batches, one behind the other.
  public init(joining parts: [SoftTargets], width: Int) {
    means = Matrix(
      rows: parts.reduce(0) { $0 + $1.means.rows }, columns: width,
      values: parts.flatMap { $0.means.values })
    constants = parts.flatMap(\.constants)
  }

  init(means: Matrix<Float>, constants: [Double]) {
    self.means = means
    self.constants = constants
  }
}

extension LanguageModel {
  /// Soft targets for this model from a teacher's final hidden states.
  ///
  /// - Throws: `ModelError.differentVocabularies`, a model without a head.
  public func softTargets(
    from teacher: LanguageModel, hidden: Matrix<Float>
  ) throws -> SoftTargets {
    let (own, other) = (try requireHead(), try teacher.requireHead())
    guard own.vocabulary == other.vocabulary else {
      throw ModelError.differentVocabularies(model: own.vocabulary, reference: other.vocabulary)
    }
    let x = other.prepared(hidden, pool: pool)
    let rows = 64
    let parts = try pool.map((x.rows + rows - 1) / rows) { (tile: Int) throws -> SoftTargets in
      let range = tile * rows..<min((tile + 1) * rows, x.rows)
      return own.softTargets(of: range, x, teacher: other, scratch: trunk.scratch)
    }
    return SoftTargets(joining: parts, width: own.width)
  }

  /// The same of several matrices of final hidden states, as the sides of a perturbation have; the
  /// head's table goes by once for all of them.
  public func divergences(
    of sides: [Matrix<Float>], from targets: SoftTargets, rows picked: [[Int]]
  ) throws -> [[Double]] {
    let found = try divergences(
      of: Matrix(picking: sides.map { ($0, Array(0..<$0.rows)) }), from: targets,
      rows: picked.flatMap { $0 })
    var first = 0
    return picked.map { own in
      defer { first += own.count }
      return Array(found[first..<first + own.count])
    }
  }

  /// KL(teacher ‖ this model) per row of final hidden states, in nats.
  ///
  /// - Parameter picked: the row of the targets that belongs to each row; `hidden.rows` of them.
  /// - Throws: `ModelError.notFiniteLogits`.
  public func divergences(
    of hidden: Matrix<Float>, from targets: SoftTargets, rows picked: [Int]
  ) throws -> [Double] {
    precondition(picked.count == hidden.rows, "\(picked.count) targets, \(hidden.rows) rows")
    let head = try requireHead()
    let x = head.prepared(hidden, pool: pool)
    let scores = try head.scores(
      x, targets: Array(repeating: 0, count: x.rows), scratch: trunk.scratch, pool: pool)
    return picked.indices.map { row in
      let target = picked[row]
      var product = 0.0
      x.values.withUnsafeBufferPointer { own in
        targets.means.values.withUnsafeBufferPointer { means in
          guard let h = own.baseAddress, let m = means.baseAddress else { return }
          let (a, b) = (h + row * x.columns, m + target * x.columns)
          for column in 0..<x.columns { product += Double(a[column]) * Double(b[column]) }
        }
      }
      return targets.constants[target] - product + scores[row].normalizer
    }
  }

  /// The logits of some tokens only, `rows × tokens`: what choosing among options needs.
  public func logits(
    of hidden: Matrix<Float>, rows: [Int], tokens: [Int32]
  ) throws -> Matrix<Float> {
    let head = try requireHead()
    let x = head.prepared(hidden.picking(rows), pool: pool)
    var result = Matrix<Float>(rows: rows.count, columns: tokens.count, repeating: 0)
    for (column, token) in tokens.enumerated() {
      let line = head.row(Int(token), scratch: trunk.scratch)
      let bias = Double(head.bias?[Int(token)] ?? 0)
      for row in 0..<rows.count {
        var sum = bias
        for index in 0..<head.width { sum += Double(x[row, index]) * Double(line[index]) }
        result[row, column] = Float(sum)
      }
    }
    return result
  }
}

extension VocabularyHead {
  fileprivate func softTargets(
    of rows: Range<Int>, _ x: Matrix<Float>, teacher: VocabularyHead, scratch: ScratchMemory
  ) -> SoftTargets {
    let count = rows.count
    var constants = [Double](repeating: 0, count: count)
    let means = scratch.with(2 * count * vocabulary) { memory in
      let (logits, shares) = (memory, memory + count * vocabulary)
      x.values.withUnsafeBufferPointer { source in
        guard let base = source.baseAddress else { return }
        teacher.logits(
          base + rows.lowerBound * x.columns, rows: count, tokens: 0..<vocabulary, into: logits,
          stride: vocabulary, scratch: scratch)
      }
      shares.update(from: logits, count: count * vocabulary)
      pith_masked_softmax(shares, count, vocabulary, vocabulary, 0, 0, 0, 1)
      for row in 0..<count {
        let line = logits + row * vocabulary
        var index = 0
        let largest = pith_largest(line, vocabulary, &index)
        let normalizer = Double(largest) + logDouble(pith_sum_exp(line, vocabulary, largest))
        var mean = 0.0
        for token in 0..<vocabulary {
          let share = Double(shares[row * vocabulary + token])
          mean += share * (Double(line[token]) - Double(bias?[token] ?? 0))
        }
        constants[row] = mean - normalizer
      }
      return weightedRows(shares, count: count, scratch: scratch)
    }
    return SoftTargets(means: means, constants: constants)
  }

  /// Σ p·(row of the table) for some lines of shares, `count × width`.
  private func weightedRows(
    _ shares: UnsafePointer<Float>, count: Int, scratch: ScratchMemory
  ) -> Matrix<Float> {
    var result = Matrix<Float>(rows: count, columns: width, repeating: 0)
    scratch.with(Self.tileTokens * width) { tile in
      for first in stride(from: 0, to: vocabulary, by: Self.tileTokens) {
        let tokens = first..<min(first + Self.tileTokens, vocabulary)
        read(tokens, into: tile)
        result.values.withUnsafeMutableBufferPointer { target in
          guard let c = target.baseAddress else { return }
          BLAS.gemm(
            m: count, n: width, k: tokens.count, alpha: 1, a: shares + first, lda: vocabulary,
            transposeA: false, b: tile, ldb: width, transposeB: false, beta: 1, c: c, ldc: width)
        }
      }
    }
    return result
  }

  /// One token's row of the table.
  fileprivate func row(_ token: Int, scratch: ScratchMemory) -> [Float] {
    Array(unsafeUninitializedCapacity: width) { target, count in
      if let start = target.baseAddress { read(token..<token + 1, into: start) }
      count = width
    }
  }
}
