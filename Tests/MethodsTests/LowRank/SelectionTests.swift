import LinearAlgebra
import Tensors
import TestSupport
import Testing

@testable import LowRank

/// What remains of check 15 without training: which entries, which order, which shared parts.
@Suite("Low rank: selections and shared parts (check 15)")
struct SelectionTests {
  @Test("LIFT takes exactly k entries of the reduced weight, ties or not")
  func principalEntries() throws {
    let w = Sample.matrix()
    let reduced = try PrincipalComponents.exact(w, rank: 4).product().values
    for count in [0, 1, 777, w.values.count] {
      let places = try PrincipalEntries.places(of: w, filterRank: 4, count: count)
      #expect(places.count == count && Set(places).count == count)
      #expect(places == places.sorted())
      let inside = places.map { abs(reduced[$0]) }.min() ?? .infinity
      let chosen = Set(places)
      let outside = reduced.indices.lazy.filter { !chosen.contains($0) }.map { abs(reduced[$0]) }
      #expect(inside >= outside.max() ?? 0)
    }
    let flat = Matrix<Float>(rows: 6, columns: 5, repeating: 2)
    #expect(try PrincipalEntries.places(of: flat, filterRank: 1, count: 7).count == 7)
    #expect(PrincipalEntries.count(rows: 6, columns: 5, rank: 2) == 22)
    #expect(PrincipalEntries.count(rows: 6, columns: 5, rank: 9) == 30)
    // Not the largest of the weight itself: that is magnitude.
    let order = w.values.indices.sorted { abs(w.values[$0]) > abs(w.values[$1]) }
    #expect(
      try Set(PrincipalEntries.places(of: w, filterRank: 4, count: 777)) != Set(order.prefix(777)))
    #expect(throws: LowRankError.self) {
      try PrincipalEntries.places(of: flat, filterRank: 1, count: 31)
    }
  }

  @Test("S²FT's order changes no output: feed-forward channels, and heads that share keys")
  func channels() throws {
    let (width, inner) = (12, 20)
    let (up, gate) = (Sample.normals(inner, width, seed: 1), Sample.normals(inner, width, seed: 2))
    let (down, x) = (Sample.normals(width, inner, seed: 3), Sample.normals(7, width, seed: 4))
    let order = try SelectedChannels.order(chosen: [11, 3, 17], of: inner)
    #expect(Array(order.prefix(4)) == [11, 3, 17, 0] && Set(order).count == inner)
    func output(
      _ w: (up: Matrix<Float>, gate: Matrix<Float>?, down: Matrix<Float>)
    ) throws -> Matrix<Double> {
      var hidden = try x.multiplied(by: w.up, transposeOther: true)
      if let gate = w.gate {
        let other = try x.multiplied(by: gate, transposeOther: true)
        for index in hidden.values.indices { hidden.values[index] *= max(0, other.values[index]) }
      }
      return try hidden.multiplied(by: w.down, transposeOther: true).inDouble
    }
    let moved = SelectedChannels.feedForward(up: up, gate: gate, down: down, order: order)
    let before = try output((up, gate, down))
    #expect(Oracle.relative(try output(moved), before) < 1e-6)
    #expect(moved.up.values[..<width] == up.values[up.range(ofRow: 11)])
    // Power: the columns left where they were.
    #expect(Oracle.relative(try output((moved.up, moved.gate, down)), before) > 0.1)

    // Six query heads of 4 channels on three key heads: scores and values per head.
    let (q, k) = (Sample.normals(24, width, seed: 5), Sample.normals(12, width, seed: 6))
    let (v, o) = (Sample.normals(12, width, seed: 7), Sample.normals(width, 24, seed: 8))
    func attend(
      _ w: (q: Matrix<Float>, k: Matrix<Float>, v: Matrix<Float>, o: Matrix<Float>)
    ) throws -> Matrix<Double> {
      let (queries, keys, values) = (
        try x.multiplied(by: w.q, transposeOther: true),
        try x.multiplied(by: w.k, transposeOther: true),
        try x.multiplied(by: w.v, transposeOther: true)
      )
      var mixed = Matrix<Float>(rows: 7, columns: 24, repeating: 0)
      for head in 0..<6 {
        for row in 0..<7 {
          for other in 0..<7 {
            var score: Float = 0
            for c in 0..<4 { score += queries[row, head * 4 + c] * keys[other, head / 2 * 4 + c] }
            for c in 0..<4 { mixed[row, head * 4 + c] += score * values[other, head / 2 * 4 + c] }
          }
        }
      }
      return try mixed.multiplied(by: w.o, transposeOther: true).inDouble
    }
    let heads = SelectedChannels.attention(q: q, k: k, v: v, o: o, order: [2, 0, 1], width: 4)
    let plain = try attend((q, k, v, o))
    #expect(Oracle.relative(try attend(heads), plain) < 1e-6)
    #expect(Oracle.relative(try attend((heads.q, heads.k, heads.v, o)), plain) > 0.1)
    #expect(throws: LowRankError.self) { try SelectedChannels.order(chosen: [1, 1], of: 4) }
    #expect(throws: LowRankError.self) { try SelectedChannels.order(chosen: [4], of: 4) }
  }

  @Test("MASA: the small Gram matrix gives the stacked weights' singular value decomposition")
  func atoms() throws {
    let layers = (0..<6).map { layer in
      var w = Sample.normals(9, 14, seed: 10)
      let own = Sample.normals(9, 14, seed: 20 + UInt64(layer))
      for index in w.values.indices { w.values[index] += 0.3 * own.values[index] }
      return w
    }
    let stacked = Matrix<Double>(
      rows: 6, columns: 126, values: layers.flatMap { $0.values.map(Double.init) })
    let spectrum = try SVD.exact(stacked).singularValues
    var errors: [Double] = []
    for count in 1...6 {
      let result = try SharedAtoms.shared(layers, atoms: count)
      var error = 0.0
      for (layer, weight) in layers.enumerated() {
        error += result.weight(layer: layer).subtracting(weight).squaredNorm
      }
      errors.append(error)
      let left = spectrum[count...].reduce(0) { $0 + $1 * $1 }
      #expect(abs(error - left) < 1e-5 * spectrum[0] * spectrum[0])
      for (found, expected) in zip(result.spectrum, spectrum) {
        #expect(abs(found / expected - 1) < 1e-8)
      }
    }
    #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 } && errors[5] < 1e-8)
    let alike = try SharedAtoms.shared([layers[0], layers[0], layers[0]], atoms: 2)
    #expect(alike.weight(layer: 2).subtracting(layers[0]).squaredNorm < 1e-10)
    #expect(alike.atoms[1].values.allSatisfy { $0 == 0 })
    #expect(throws: LowRankError.self) { try SharedAtoms.shared(layers, atoms: 7) }
    #expect(throws: LowRankError.self) { try SharedAtoms.shared([], atoms: 1) }
  }
}
