import Kernels
import LinearAlgebra
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("Scale refit in the sweep")
struct SweepRefitTests {
  /// More rows than go together, not a multiple of a chunk's.
  let original = Sample.normals(170, 96, seed: 3)

  private func gram(dead: [Int] = []) throws -> Matrix<Double> {
    var gram = try GPTQSample.gram(width: 96)
    for index in dead {
      for other in 0..<96 {
        gram[index, other] = 0
        gram[other, index] = 0
      }
    }
    return gram
  }

  @Test("it is the refit of the swept weight, and its report is true")
  func same() throws {
    for (order, granularity, bits, dead) in [
      (.none, .group(16), 3, []), (.activation, .group(16), 4, []), (.groups, .group(32), 2, []),
      (.activation, .channel, 4, []), (.activation, .group(32), 8, [5, 40]),
    ] as [(GPTQOptions.Order, Granularity, Int, [Int])] {
      let gram = try gram(dead: dead)
      let scheme = try IntegerScheme(
        bits: bits, symmetric: bits == 4, granularity: granularity, scaleType: .f32,
        clip: .meanSquare())
      let swept = try GPTQ.quantize(
        .dense(original), gram: gram, scheme: scheme,
        options: GPTQOptions(order: order, refit: false))
      var target = original
      for row in 0..<target.rows { for column in dead { target[row, column] = 0 } }
      let apart = try ScaleRefit.refit(swept.weight, target: target, gram: gram)
      let found = try GPTQ.quantize(
        .dense(original), gram: gram, scheme: scheme, options: GPTQOptions(order: order))
      try found.weight.validate()
      #expect(found.weight.codes == swept.weight.codes)
      let report = try #require(found.report.refit)
      let error = try WeightedError.of(
        WeightedError.subtract(found.weight.decodedBase(), from: target), gram: gram)
      #expect(abs(report.after - error) <= 2e-4 * error)
      #expect(abs(report.after - apart.report.after) <= 1e-4 * apart.report.after)
      // It has power: a hundredth of what it gains is more than what the two differ by.
      #expect(report.after < 0.98 * report.before || bits == 8)
      guard case .integer(let left) = found.weight.base,
        case .integer(let right) = apart.weight.base
      else { Issue.record("no integers"); continue }
      for (one, other) in zip(left.scales.floats(), right.scales.floats()) {
        #expect(abs(one - other) <= 2e-3 * other)
      }
    }
  }

  @Test("masked weights, no row worse, and the same bits with any number of workers")
  func masked() throws {
    let gram = try gram()
    let tall = Sample.normals(600, 96, seed: 4)
    let mask = Mask(rows: 600, columns: 96) { ($0 * 7 + $1 * 3) % 5 != 0 }
    var weight = CompressedWeight.dense(mask.applied(to: tall))
    weight.mask = mask
    let scheme = try GPTQSample.scheme(3, group: 16)
    let swept = try GPTQ.quantize(
      weight, gram: gram, scheme: scheme, options: GPTQOptions(refit: false)
    ).weight.decodedBase()
    let found = try GPTQ.quantize(weight, gram: gram, scheme: scheme)
    let two = try GPTQ.quantize(
      weight, gram: gram, scheme: scheme, pool: WorkerPool(workers: 2))
    #expect(found.weight.scaleBytes == two.weight.scaleBytes)
    #expect(found.weight.codes == two.weight.codes && found.report == two.report)
    let (fitted, target) = (found.weight.decodedBase(), weight.decodedBase())
    func error(_ matrix: Matrix<Float>, _ row: Int) throws -> Double {
      try WeightedError.of(
        WeightedError.subtract(matrix.rows(row..<row + 1), from: target.rows(row..<row + 1)),
        gram: gram)
    }
    for row in stride(from: 0, to: 600, by: 11) {
      #expect(try error(fitted, row) <= error(swept, row) * (1 + 1e-4))
    }
  }

  @Test("a turned square of bytes, and what lies beside it")
  func turned() {
    let source = (0..<48 * 20).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 20) }
    var target = [UInt8](repeating: 255, count: 16 * 50)
    pith_turn_bytes(source, 20, 48, &target, 50)
    for row in 0..<16 {
      for column in 0..<50 {
        #expect(target[row * 50 + column] == (column < 48 ? source[column * 20 + row] : 255))
      }
    }
  }
}

@Suite("Grids of rows")
struct RowGridTests {
  @Test("they are those that encoding fits", arguments: [true, false], [2, 4, 8])
  func same(symmetric: Bool, bits: Int) throws {
    let values = Sample.normals(19, 48, seed: 6)
    for (type, clip) in [(DType.f16, ClipSearch.none), (.f32, .meanSquare())] {
      let scheme = try IntegerScheme(
        bits: bits, symmetric: symmetric, granularity: .channel, scaleType: type, clip: clip)
      let found = try scheme.rowGrids(of: values)
      let base = try IntegerEncoder(scheme, columns: 48).encode(values).base
      #expect(found.scales == base.scales.floats())
      #expect(found.zeros == base.zeroPoints().map { Float($0) })
    }
    var spoilt = values
    spoilt[7, 3] = .nan
    let scheme = try IntegerScheme(bits: bits, symmetric: symmetric, granularity: .channel)
    #expect(throws: WeightsError.notFinite(row: 7, column: 3)) {
      try scheme.rowGrids(of: spoilt)
    }
  }

  @Test("squares of numbers turned about, either way up")
  func turned() {
    let source = (0..<16 * 20).map { Float($0) }
    var target = [Float](repeating: -1, count: 16 * 17)
    pith_turn_floats(source, 20, &target, 17)
    for row in 0..<16 {
      for column in 0..<17 {
        #expect(target[row * 17 + column] == (column < 16 ? source[column * 20 + row] : -1))
      }
    }
    source.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      pith_turn_floats(base + 15 * 20, -20, &target, 17)
    }
    #expect(target[3 * 17 + 2] == source[13 * 20 + 3])
  }
}

@Suite("Learned rounding's starts")
struct LearnedStartTests {
  @Test("a tenth of the damping where the text is long enough, and only there")
  func damping() throws {
    let width = 128
    let inputs = GPTQSample.inputs(rows: 2 * width, width: width)
    let gram = try Syrk.gramInDouble(inputs)
    let original = Sample.normals(96, width, seed: 8)
    let scheme = try GPTQSample.scheme(3, clip: .meanSquare())
    func learned(rows: Int?) throws -> GPTQReport {
      try GPTQ.quantize(
        .dense(original), gram: gram, rows: rows, scheme: scheme,
        options: GPTQOptions(rounding: .learned)
      ).report
    }
    let (long, short) = (try learned(rows: 2 * width), try learned(rows: 2 * width - 1))
    #expect(short.dampingUsed == 0.01 && long.dampingUsed == 0.001)
    #expect(long.weightedError < 0.98 * short.weightedError)
    let unknown = try learned(rows: nil)
    #expect(unknown.weightedError == short.weightedError)
  }
}
