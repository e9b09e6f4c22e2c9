import LinearAlgebra
import Quantization
import Tensors
import Testing

@testable import Pruning
@testable import Weights

/// Weights and inputs for the tests of pruning.
enum PruningSample {
  static let width = 96
  static let rows = 48

  static func weight(_ rows: Int = rows, _ width: Int = width) -> Matrix<Float> {
    Sample.normals(rows, width, seed: 11)
  }

  static func gram(_ width: Int = width) throws -> Matrix<Double> {
    try GPTQSample.gram(width: width, rows: 600)
  }

  static func squares(_ gram: Matrix<Double>) -> [Double] {
    (0..<gram.rows).map { gram[$0, $0] }
  }

  static func loss(
    _ result: CompressedWeight, _ original: Matrix<Float>, _ gram: Matrix<Double>
  ) throws -> Double {
    try WeightedError.relative(result.decodedBase(), to: original, gram: gram)
  }

  static let half = PruneAmount.fraction(0.5, of: .matrix)
  static let halfOfRows = PruneAmount.fraction(0.5, of: .row)
  static func pattern(_ keep: Int, _ of: Int) throws -> PruneAmount {
    .pattern(try KeepPattern(keep: keep, of: of))
  }

  /// Σ over rows of the kept entries.
  static func kept(_ weight: CompressedWeight) -> [Int] {
    (0..<weight.rows).map { row in
      (0..<weight.columns).filter { weight.mask?.isKept(row, $0) ?? true }.count
    }
  }
}

@Suite("Pruning: masks")
struct PruningTests {
  @Test("magnitude, Wanda, SparseGPT, exact greedy: each loses less than the one before")
  func ordering() throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    let dense = CompressedWeight.dense(weight)
    let magnitude = try MagnitudePruning.prune(dense, sparsity: 0.5)
    let wanda = try Wanda.prune(
      dense, squares: PruningSample.squares(gram), amount: PruningSample.halfOfRows)
    let sparse = try SparseGPT.prune(
      dense, gram: gram, amount: PruningSample.half, options: SparseGPTOptions(block: 32)
    ).weight
    let exact = try OptimalBrain.prune(dense, gram: gram, amount: PruningSample.half)
    let refitted = try SurvivorRefit.refit(wanda, target: weight, gram: gram).weight
    let losses = try [magnitude, wanda, sparse, exact].map {
      try PruningSample.loss($0, weight, gram)
    }
    #expect(losses[1] < 0.9 * losses[0], "\(losses)")
    #expect(losses[2] < 0.9 * losses[1], "\(losses)")
    #expect(losses[3] < 0.9 * losses[2], "\(losses)")
    let fitted = try PruningSample.loss(refitted, weight, gram)
    #expect(fitted < 0.9 * losses[1] && fitted > losses[3])
    for result in [magnitude, sparse, exact] {
      #expect(PruningSample.kept(result).reduce(0, +) == weight.values.count / 2)
    }
    #expect(PruningSample.kept(wanda).allSatisfy { $0 == PruningSample.width / 2 })
  }

  @Test("Wanda: equal loudness is magnitude by rows, kept entries keep their bits, loudness counts")
  func wanda() throws {
    let weight = PruningSample.weight()
    let dense = CompressedWeight.dense(weight)
    let even = [Double](repeating: 3, count: PruningSample.width)
    let amount = PruneAmount.fraction(0.3, of: .row)
    let plain = try Wanda.prune(dense, squares: even, amount: amount)
    let magnitude = try MagnitudePruning.prune(dense, amount: amount)
    #expect(plain.decodedBase() == magnitude.decodedBase())
    // floor(96 · 0.3 + ½) = 29 of each row.
    #expect(PruningSample.kept(plain).allSatisfy { $0 == 67 })
    var loud = even
    loud[5] = 1e30
    loud[7] = 0
    let result = try Wanda.prune(dense, squares: loud, amount: amount)
    #expect(result.decodedBase().values.contains { $0 != 0 })
    for row in 0..<weight.rows {
      #expect(result.mask?.isKept(row, 5) == true && result.mask?.isKept(row, 7) == false)
      for column in 0..<weight.columns where result.mask?.isKept(row, column) == true {
        #expect(result.decodedBase()[row, column] == weight[row, column])
      }
    }
  }

  @Test(
    "patterns hold in every group", arguments: [(2, 4), (4, 8), (1, 4), (3, 4), (5, 6), (7, 32)])
  func patterns(keep: Int, of: Int) throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    let dense = CompressedWeight.dense(weight)
    let amount = try PruningSample.pattern(keep, of)
    for result in [
      try Wanda.prune(dense, squares: PruningSample.squares(gram), amount: amount),
      try SparseGPT.prune(dense, gram: gram, amount: amount).weight,
      try OptimalBrain.prune(dense, gram: gram, amount: amount),
    ] {
      try result.validate()
      #expect(result.mask?.claim == .pattern(keep: keep, of: of))
      let mask = try #require(result.mask)
      for row in 0..<weight.rows {
        for first in stride(from: 0, to: weight.columns, by: of) {
          #expect((first..<first + of).filter { mask.isKept(row, $0) }.count == keep)
        }
      }
    }
  }

  @Test("amounts that do not fit, statistics that do not fit")
  func refusals() throws {
    let dense = CompressedWeight.dense(PruningSample.weight())
    let gram = try PruningSample.gram()
    #expect(throws: PruningError.weights(.patternInvalid(keep: 3, of: 7, columns: 96))) {
      try SparseGPT.prune(dense, gram: gram, amount: try PruningSample.pattern(3, 7))
    }
    #expect(throws: PruningError.weights(.sparsityOutOfRange(1.5))) {
      try SparseGPT.prune(dense, gram: gram, amount: .fraction(1.5, of: .matrix))
    }
    #expect(throws: PruningError.statisticsMismatch(rows: 48, columns: 96, found: [32, 32])) {
      try SparseGPT.prune(dense, gram: try PruningSample.gram(32), amount: PruningSample.half)
    }
    var broken = gram
    broken[3, 4] = .nan
    #expect(throws: PruningError.statisticsNotFinite(index: 3 * 96 + 4)) {
      try SparseGPT.prune(dense, gram: broken, amount: PruningSample.half)
    }
    #expect(throws: PruningError.statisticsNegative(index: 1, value: -1)) {
      try Wanda.prune(
        dense, squares: [0, -1] + [Double](repeating: 1, count: 94), amount: PruningSample.half)
    }
    #expect(throws: PruningError.statisticsMismatch(rows: 48, columns: 96, found: [2])) {
      try Wanda.prune(dense, squares: [0, 1], amount: PruningSample.half)
    }
    #expect(throws: PruningError.self) {
      try OptimalBrain.prune(
        .dense(Sample.normals(1, 2049, seed: 1)), gram: .identity(2049),
        amount: PruningSample.half)
    }
  }

  @Test("nothing and everything")
  func extremes() throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    let dense = CompressedWeight.dense(weight)
    let none = try SparseGPT.prune(dense, gram: gram, amount: .fraction(0, of: .matrix)).weight
    #expect(none.decodedBase() == weight)
    let all = try SparseGPT.prune(dense, gram: gram, amount: .fraction(1, of: .matrix)).weight
    #expect(all.decodedBase().values.allSatisfy { $0 == 0 })
    try all.packed().validate()
  }
}

@Suite("Pruning: exact greedy and refits")
struct SurvivorTests {
  @Test("the exact greedy choice ends at the least-squares optimum of its mask")
  func optimum() throws {
    let weight = PruningSample.weight(6, 24)
    let gram = try PruningSample.gram(24)
    let result = try OptimalBrain.prune(
      .dense(weight), gram: gram, amount: PruningSample.half)
    let inputs = try InputGram(gram, rows: 6, columns: 24)
    let damped = inputs.damped(0.01)
    let found = result.decodedBase()
    // At the optimum nothing that is kept can be moved to advantage: (w − ŵ)·H is 0 there.
    for row in 0..<6 {
      for column in 0..<24 where result.mask?.isKept(row, column) == true {
        let slope = (0..<24).reduce(0.0) {
          $0 + Double(found[row, $1] - weight[row, $1]) * damped[$1, column]
        }
        #expect(abs(slope) < 1e-5)
      }
    }
  }

  @Test("a diagonal Gram matrix: the choice is that of |w|·√H_jj over the matrix, values stay")
  func diagonal() throws {
    let weight = PruningSample.weight(8, 24)
    var gram = Matrix<Double>(rows: 24, columns: 24, repeating: 0)
    for index in 0..<24 { gram[index, index] = Double(1 + index % 5) }
    var scores = weight
    // The damping of 0.01 of the mean changes the scores with it.
    for row in 0..<8 {
      for column in 0..<24 {
        scores[row, column] *= Float((gram[column, column] + 0.03).squareRoot())
      }
    }
    let expected = try MagnitudePruning.prune(.dense(scores), sparsity: 0.5)
    for result in [
      try OptimalBrain.prune(.dense(weight), gram: gram, amount: PruningSample.half),
      try SparseGPT.prune(
        .dense(weight), gram: gram, amount: PruningSample.half, options: SparseGPTOptions()
      ).weight,
    ] {
      for row in 0..<8 {
        for column in 0..<24 {
          let kept = result.mask?.isKept(row, column)
          #expect(kept == expected.mask?.isKept(row, column))
          if kept == true {
            #expect(abs(result.decodedBase()[row, column] - weight[row, column]) < 1e-5)
          }
        }
      }
    }
  }

  @Test("conjugate gradients reach what the exact solution reaches")
  func descent() throws {
    let weight = PruningSample.weight(20, 128)
    let gram = try PruningSample.gram(128)
    let pruned = try Wanda.prune(
      .dense(weight), squares: PruningSample.squares(gram), amount: PruningSample.halfOfRows)
    let inputs = try InputGram(gram, rows: 20, columns: 128)
    let mask = try #require(pruned.mask)
    let problem = SurvivorProblem(
      target: weight.converted(to: Double.self),
      start: pruned.decodedBase().converted(to: Double.self), mask: mask,
      gram: inputs.damped(0.01))
    let exact = try problem.exact(0..<20)
    let near = try problem.descended(0..<20)
    #expect(exact.before == near.before && exact.after < 0.7 * exact.before)
    #expect(near.after < exact.after * (1 + 1e-4) && near.after >= exact.after * (1 - 1e-6))
  }

  @Test("what was masked stays masked and counts; more kept is never worse")
  func tightening() throws {
    let weight = PruningSample.weight()
    let gram = try PruningSample.gram()
    let first = try MagnitudePruning.prune(.dense(weight), sparsity: 0.25)
    for result in [
      try SparseGPT.prune(first, gram: gram, amount: PruningSample.half).weight,
      try OptimalBrain.prune(first, gram: gram, amount: PruningSample.half),
    ] {
      let (old, new) = (try #require(first.mask), try #require(result.mask))
      #expect(new.keptCount == weight.values.count / 2)
      for row in 0..<weight.rows {
        for column in 0..<weight.columns where new.isKept(row, column) {
          #expect(old.isKept(row, column))
        }
      }
    }
    let half = try MagnitudePruning.prune(first, sparsity: 0.5)
    let a = try SurvivorRefit.refit(first, target: weight, gram: gram).report
    let b = try SurvivorRefit.refit(half, target: weight, gram: gram).report
    #expect(a.after <= a.before && b.after <= b.before && a.after < b.after)
  }
}
