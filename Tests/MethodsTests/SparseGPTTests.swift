import LinearAlgebra
import Quantization
import Tensors
import Testing

@testable import Pruning
@testable import Weights

@Suite("Pruning: SparseGPT")
struct SparseGPTTests {
  /// The sweep as it is written down: one column after the other, in f64, the mask of a block by a
  /// sorted list; without masks, dead inputs, the ladder and grids.
  private func reference(
    _ weight: Matrix<Float>, _ gram: Matrix<Double>, sparsity: Double, block: Int
  ) throws -> Matrix<Double> {
    let (rows, count) = (weight.rows, weight.columns)
    let inputs = try InputGram(gram, rows: rows, columns: count)
    let lower = try Cholesky.factor(inputs.damped(0.01)).factor
    let inverse = try Cholesky.solve(lower: lower, .identity(count))
    let factor = try Cholesky.factor(inverse).factor.transposed
    var w = weight.converted(to: Double.self)
    for first in stride(from: 0, to: count, by: block) {
      let last = min(first + block, count)
      var scores: [(Double, Int, Int)] = []
      for row in 0..<rows {
        for column in first..<last {
          let ratio = w[row, column] / factor[column, column]
          scores.append((ratio * ratio, row, column))
        }
      }
      scores.sort { ($0.0, $0.1, $0.2) < ($1.0, $1.1, $1.2) }
      let share =
        SparsityClaim.dropped(of: rows * last, fraction: sparsity)
        - SparsityClaim.dropped(of: rows * first, fraction: sparsity)
      var dropped = Set<Int>()
      for score in scores.prefix(share) { dropped.insert(score.1 * count + score.2) }
      for column in first..<last {
        for row in 0..<rows where dropped.contains(row * count + column) {
          let error = w[row, column] / factor[column, column]
          for next in column..<count { w[row, next] -= error * factor[column, next] }
          w[row, column] = 0
        }
      }
    }
    return w
  }

  @Test("the blocked sweep is the plain one", arguments: [16, 40, 128])
  func plain(block: Int) throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    let expected = try reference(weight, gram, sparsity: 0.6, block: block)
    let found = try SparseGPT.prune(
      .dense(weight), gram: gram, amount: .fraction(0.6, of: .matrix),
      options: SparseGPTOptions(block: block, steps: 0)
    ).weight
    let values = found.decodedBase()
    for index in values.values.indices {
      #expect((values.values[index] == 0) == (expected.values[index] == 0))
      #expect(abs(Double(values.values[index]) - expected.values[index]) < 2e-4)
    }
  }

  /// What a row loses in a sweep over one group that drops a set, and each column's loss alone.
  private func losses(
    _ row: ArraySlice<Float>, _ factor: Matrix<Double>, dropping set: [Int]
  ) -> (swept: Double, alone: [Double]) {
    var w = row.map(Double.init)
    let alone = w.indices.map { w[$0] / factor[$0, $0] }.map { $0 * $0 }
    var swept = 0.0
    for column in set {
      let error = w[column] / factor[column, column]
      for next in column..<w.count { w[next] -= error * factor[column, next] }
      swept += error * error
    }
    return (swept, alone)
  }

  @Test("of a group those leave that cost least together", arguments: [(2, 4), (4, 8), (5, 8)])
  func patterns(keep: Int, of: Int) throws {
    let weight = PruningSample.weight(64, of)
    let gram = try PruningSample.gram(of)
    let inputs = try InputGram(gram, rows: 64, columns: of)
    let lower = try Cholesky.factor(inputs.damped(0.01)).factor
    let inverse = try Cholesky.solve(lower: lower, .identity(of))
    let factor = try Cholesky.factor(inverse).factor.transposed
    let sets = (0..<1 << of).filter { $0.nonzeroBitCount == of - keep }
      .map { bits in (0..<of).filter { bits >> $0 & 1 == 1 } }
    var (best, alone) = (0.0, 0.0)
    for row in 0..<64 {
      let values = weight.values[weight.range(ofRow: row)]
      let found = sets.map { losses(values, factor, dropping: $0) }
      best += found.map(\.swept).min() ?? 0
      let order = (0..<of).sorted { found[0].alone[$0] < found[0].alone[$1] }
      alone += losses(values, factor, dropping: order.prefix(of - keep).sorted()).swept
    }
    let report = try SparseGPT.prune(
      .dense(weight), gram: gram, amount: PruningSample.pattern(keep, of),
      options: SparseGPTOptions(steps: 0)
    ).report
    let found = report.dampedError / inputs.mean
    #expect(abs(found / best - 1) < 1e-3, "\(found), at best \(best)")
    #expect(alone > 1.02 * best, "one by one \(alone), at best \(best)")
  }

  @Test("the sum of squared errors is the weighted error")
  func identity() throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    for amount in [PruningSample.half, try PruningSample.pattern(2, 4)] {
      let (result, report) = try SparseGPT.prune(.dense(weight), gram: gram, amount: amount)
      let difference = Matrix<Float>(
        rows: weight.rows, columns: weight.columns,
        values: zip(result.decodedBase().values, weight.values).map { $0 - $1 })
      let found = try WeightedError.of(difference, gram: gram)
      #expect(abs(found / report.weightedError - 1) < 1e-3)
      #expect(report.dampedError > report.weightedError)
    }
  }

  @Test("steps after the sweep lower the error of every row, to the best of the mask")
  func settling() throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    for amount in [PruningSample.half, try PruningSample.pattern(2, 4)] {
      func run(_ steps: Int) throws -> (CompressedWeight, Double) {
        let (weight, report) = try SparseGPT.prune(
          .dense(weight), gram: gram, amount: amount, options: SparseGPTOptions(steps: steps))
        return (weight, report.dampedError)
      }
      let found = try [0, 1, 4, 40].map { try run($0) }
      for (left, right) in zip(found, found.dropFirst()) {
        #expect(
          left.0.mask?.bits.bytes.array(of: UInt8.self)
            == right.0.mask?.bits.bytes.array(of: UInt8.self))
        #expect(right.1 < left.1)
      }
      #expect(found[1].1 < 0.9 * found[0].1)
      let (_, best) = try SurvivorRefit.refit(found[0].0, target: weight, gram: gram)
      #expect(found[3].1 < 1.0005 * best.after && found[1].1 > 1.01 * best.after)
    }
  }

  @Test("scaling the Gram matrix and the number of workers change nothing")
  func invariances() throws {
    let weight = PruningSample.weight(300, 96)
    let gram = try PruningSample.gram()
    var louder = gram
    for index in louder.values.indices { louder.values[index] *= 4096 }
    let scheme = try GPTQSample.scheme(4)
    for (amount, scheme) in [
      (PruningSample.half, nil), (try PruningSample.pattern(2, 4), scheme),
    ] as [(PruneAmount, IntegerScheme?)] {
      func run(_ gram: Matrix<Double>, _ pool: WorkerPool) throws -> CompressedWeight {
        try SparseGPT.prune(
          .dense(weight), gram: gram, amount: amount, rounding: scheme, pool: pool
        ).weight
      }
      let one = try run(gram, .serial)
      for other in [try run(gram, WorkerPool(workers: 3)), try run(louder, .serial)] {
        for (left, right) in zip(one.payloads, other.payloads) {
          #expect(left.bytes.array(of: UInt8.self) == right.bytes.array(of: UInt8.self))
        }
      }
    }
  }

  @Test(
    "rounding in the same sweep beats pruning first", arguments: [32, 96],
    [(2, 4), (4, 8)])
  func joint(group: Int, pattern: (Int, Int)) throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    let scheme = try GPTQSample.scheme(4, group: group, clip: .meanSquare())
    let amount = try PruningSample.pattern(pattern.0, pattern.1)
    var joint = try SparseGPT.prune(
      .dense(weight), gram: gram, amount: amount, rounding: scheme
    ).weight
    try joint.validate()
    joint = try ScaleRefit.refit(joint, target: weight, gram: gram).weight
    let pruned = try SparseGPT.prune(.dense(weight), gram: gram, amount: amount).weight
    let apart = try GPTQ.quantize(
      pruned, gram: gram, scheme: scheme, options: GPTQOptions(order: .none)
    ).weight
    let nearest = try RoundToNearest.quantize(pruned, scheme: scheme)
    let losses = try [joint, apart, nearest].map { try PruningSample.loss($0, weight, gram) }
    #expect(losses[0] < losses[1] && losses[1] < losses[2], "\(losses)")
    // What is dropped stands for exactly 0.
    let values = joint.decodedBase()
    let mask = try #require(joint.mask)
    for row in 0..<weight.rows {
      for column in 0..<weight.columns where !mask.isKept(row, column) {
        #expect(values[row, column] == 0)
      }
    }
  }

  @Test(
    "every reach of a scale", arguments: [Granularity.tensor, .channel, .group(16), .group(48)])
  func reaches(granularity: Granularity) throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    for symmetric in [true, false] {
      let scheme = try IntegerScheme(
        bits: 4, symmetric: symmetric, granularity: granularity, clip: .none)
      for amount in [PruningSample.half, try PruningSample.pattern(2, 4)] {
        let result = try SparseGPT.prune(
          .dense(weight), gram: gram, amount: amount, rounding: scheme,
          options: SparseGPTOptions(block: 40)
        ).weight
        try result.validate()
        let packed = result.packed()
        try packed.validate()
        #expect(packed.decodedBase() == result.decodedBase())
        #expect(try PruningSample.loss(result, weight, gram) < 0.35)
      }
    }
  }

  @Test("inputs that were never active go first, few rows warn, zeros fall back")
  func dead() throws {
    let weight = PruningSample.weight()
    var gram = try PruningSample.gram()
    for index in 0..<96 {
      gram[7, index] = 0
      gram[index, 7] = 0
    }
    let (result, report) = try SparseGPT.prune(
      .dense(weight), gram: gram, rows: 12, amount: PruningSample.half)
    #expect(report.deadColumns == [7] && report.warnings.count == 2)
    for row in 0..<weight.rows { #expect(result.mask?.isKept(row, 7) == false) }
    let zeros = Matrix<Double>(rows: 96, columns: 96, repeating: 0)
    let blind = try SparseGPT.prune(.dense(weight), gram: zeros, amount: PruningSample.half)
    #expect(blind.report.isUninformed)
    #expect(
      blind.weight.decodedBase()
        == (try MagnitudePruning.prune(.dense(weight), sparsity: 0.5)).decodedBase())
  }
}
