import LinearAlgebra
import Quantization
import Tensors
import Testing

@testable import Pruning
@testable import Weights

@Suite("Pruning: whole inputs")
struct StructuredPruningTests {
  @Test("units go by their sums, ties to the higher one, in order")
  func choice() {
    let importance = [1.0, 1, 5, 5, 0, 2, 2, 0]
    #expect(StructuredPruning.kept(importance: importance, unit: 2, count: 1) == [2, 3])
    #expect(StructuredPruning.kept(importance: importance, unit: 2, count: 2) == [0, 1, 2, 3])
    #expect(StructuredPruning.kept(importance: importance, unit: 1, count: 3) == [2, 3, 5])
    #expect(StructuredPruning.kept(importance: importance, unit: 4, count: 2) == Array(0..<8))
  }

  @Test("channels that stay take over what others said, where a new map behind them cannot")
  func gated() throws {
    let (count, width, channels, outputs) = (600, 12, 16, 12)
    let inputs = PruningSample.weight(count, width)
    func map(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix<Float> {
      Matrix(
        rows: rows, columns: columns,
        values: Philox(seed: seed).normals(count: rows * columns, purpose: .sampling))
    }
    var gate = map(channels, width, seed: 1)
    let up = map(channels, width, seed: 2)
    var down = map(outputs, channels, seed: 3)
    // Four pairs of channels open together and speak in one direction of their own.
    for index in 0..<4 {
      for column in 0..<width { gate[12 + index, column] = gate[index, column] }
      for row in 0..<outputs { down[row, 12 + index] = down[row, index] }
    }
    func gates(_ rows: Int) throws -> Matrix<Float> {
      let kept = Matrix(rows: rows, columns: width, values: Array(gate.values.prefix(rows * width)))
      var signals = try Gemm.product(inputs, transposed: false, kept, transposed: true)
      for index in signals.values.indices { signals.values[index] = max(0, signals.values[index]) }
      return signals
    }
    let none = Matrix<Float>(rows: 0, columns: 0, values: [])
    var whole = GatedRefit.Rows(inputs: inputs, gates: try gates(channels), targets: none)
    let said = try GatedRefit.hidden(whole, up: up, pool: .serial)
    whole.targets = try Gemm.product(said, transposed: false, down, transposed: true)
    let kept = 12
    let rows = GatedRefit.Rows(inputs: inputs, gates: try gates(kept), targets: whole.targets)
    let part = Matrix(rows: kept, columns: width, values: Array(up.values.prefix(kept * width)))
    let gram = try Gemm.product(said, transposed: true, said).converted(to: Double.self)
    let corrected = try StructuredPruning.corrected(
      down, gram: gram, keeping: Array(0..<kept), damping: 1e-4)
    func loss(_ up: Matrix<Float>, _ down: Matrix<Float>) throws -> Double {
      let found = try Gemm.product(
        GatedRefit.hidden(rows, up: up, pool: .serial), transposed: false, down, transposed: true)
      return zip(found.values, whole.targets.values).reduce(0) {
        $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1))
      }
    }
    let before = try loss(part, corrected)
    var last = before
    for turns in [1, 2, 4] {
      let found = try GatedRefit.refit(up: part, down: corrected, rows: [rows], turns: turns)
      let now = try loss(found.up, found.down)
      #expect(now <= last * 1.0001, "\(now) after \(last)")
      last = now
    }
    #expect(last < 0.01 * before, "\(last) of \(before)")
    // Nothing to make good, nothing changes; and the same bits for any number of workers.
    let same = try GatedRefit.refit(up: up, down: down, rows: [whole])
    #expect(zip(same.up.values, up.values).allSatisfy { abs($0 - $1) < 1e-3 })
    let one = try GatedRefit.refit(up: part, down: corrected, rows: [rows])
    let two = try GatedRefit.refit(
      up: part, down: corrected, rows: [rows], pool: WorkerPool(workers: 2))
    #expect(one.up == two.up && one.down == two.down)
  }

  @Test("what is left makes good what went, and is its least-squares optimum")
  func correction() throws {
    let weight = PruningSample.weight(24, 96)
    let gram = try PruningSample.gram(96)
    let importance = try StructuredPruning.importance(
      weight, squares: PruningSample.squares(gram))
    let kept = StructuredPruning.kept(importance: importance, unit: 4, count: 18)
    #expect(kept.count == 72)
    func loss(_ values: Matrix<Float>) throws -> Double {
      var whole = Matrix<Float>(rows: 24, columns: 96, repeating: 0)
      for row in 0..<24 {
        for (index, column) in kept.enumerated() { whole[row, column] = values[row, index] }
      }
      return try WeightedError.relative(whole, to: weight, gram: gram)
    }
    let plain = try loss(StructuredPruning.selecting(weight, columns: kept))
    let corrected = try StructuredPruning.corrected(weight, gram: gram, keeping: kept)
    let found = try loss(corrected)
    #expect(found < 0.6 * plain, "\(found) of \(plain)")
    // A refit of the same mask ends at the same values.
    let mask = Mask(rows: 24, columns: 96) { kept.contains($1) }
    var masked = CompressedWeight.dense(weight)
    masked.mask = mask
    let refitted = try SurvivorRefit.refit(masked, target: weight, gram: gram).weight.decodedBase()
    for row in 0..<24 {
      for (index, column) in kept.enumerated() {
        #expect(abs(refitted[row, column] - corrected[row, index]) < 1e-4)
      }
    }
  }

  @Test("units chosen by what is lost after the correction lose less than by importance")
  func choiceAfterCorrection() throws {
    let weight = PruningSample.weight(24, 96)
    let gram = try PruningSample.gram(96)
    for unit in [1, 4] {
      let count = 72 / unit
      func loss(_ kept: [Int]) throws -> Double {
        #expect(kept.count == 72 && kept == kept.sorted())
        let values = try StructuredPruning.corrected(weight, gram: gram, keeping: kept)
        var whole = Matrix<Float>(rows: 24, columns: 96, repeating: 0)
        for row in 0..<24 {
          for (index, column) in kept.enumerated() { whole[row, column] = values[row, index] }
        }
        return try WeightedError.relative(whole, to: weight, gram: gram)
      }
      let loud = StructuredPruning.kept(
        importance: try StructuredPruning.importance(
          weight, squares: PruningSample.squares(gram)), unit: unit, count: count)
      let chosen = try StructuredPruning.keptAfterCorrection(
        weight, gram: gram, unit: unit, count: count)
      let losses = try [loud, chosen].map(loss)
      #expect(losses[1] < 0.97 * losses[0], "\(losses)")
    }
    // A diagonal: by importance; inputs that were never active leave first.
    var diagonal = Matrix<Double>(rows: 96, columns: 96, repeating: 0)
    for index in 0..<96 { diagonal[index, index] = Double(1 + index % 7) }
    diagonal[3, 3] = 0
    let squares = PruningSample.squares(diagonal)
    let mean = squares.reduce(0, +) / 96
    var damped = squares.map { $0 + 0.01 * mean * 97 / 96 }
    damped[3] = 0
    #expect(
      try StructuredPruning.keptAfterCorrection(weight, gram: diagonal, unit: 1, count: 50)
        == StructuredPruning.kept(
          importance: try StructuredPruning.importance(weight, squares: damped), unit: 1,
          count: 50))
  }

  @Test(
    "a diagonal Gram matrix changes nothing, all kept changes nothing, other widths are refused")
  func invariants() throws {
    let weight = PruningSample.weight(8, 24)
    var gram = Matrix<Double>(rows: 24, columns: 24, repeating: 0)
    for index in 0..<24 { gram[index, index] = Double(index + 1) }
    let kept = [0, 3, 4, 20]
    let plain = StructuredPruning.selecting(weight, columns: kept)
    let same = try StructuredPruning.corrected(weight, gram: gram, keeping: kept)
    for (left, right) in zip(plain.values, same.values) { #expect(abs(left - right) < 1e-6) }
    let all = try StructuredPruning.corrected(
      weight, gram: try PruningSample.gram(24), keeping: Array(0..<24))
    for (left, right) in zip(weight.values, all.values) { #expect(abs(left - right) < 1e-4) }
    #expect(throws: PruningError.self) {
      try StructuredPruning.corrected(weight, gram: .identity(23), keeping: kept)
    }
    #expect(throws: PruningError.self) { try StructuredPruning.importance(weight, squares: [1]) }
  }
}
