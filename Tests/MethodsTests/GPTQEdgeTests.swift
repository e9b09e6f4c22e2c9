import LinearAlgebra
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("GPTQ: what statistics and weights can be like")
struct GPTQEdgeTests {
  let original = Sample.matrix()
  var weight: CompressedWeight { .dense(original) }
  let width = Sample.columns

  @Test("fewer rows than inputs: a warning with the numbers, a finite result")
  func singular() throws {
    let gram = try GPTQSample.gram(width: width, rows: 20)
    let scheme = try GPTQSample.scheme(3)
    let (found, report) = try GPTQ.quantize(weight, gram: gram, rows: 20, scheme: scheme)
    try found.validate()
    #expect(report.warnings.contains { $0.contains("20 rows for 128 inputs") })
    #expect(report.dampingUsed == 0.01)
    // Undamped, the factor fails: the ladder is climbed and told.
    let climbed = try GPTQ.quantize(
      weight, gram: gram, scheme: scheme, options: GPTQOptions(damping: 0))
    #expect(climbed.report.attempts.count > 1)
    #expect(climbed.report.attempts[0].failedAt != nil)
    #expect(climbed.report.warnings.contains { $0.contains("damping") })
    try climbed.weight.validate()
  }

  @Test("statistics of zeros: round-to-nearest, and it is said")
  func zero() throws {
    let gram = Matrix<Double>(rows: width, columns: width, repeating: 0)
    let scheme = try GPTQSample.scheme(3)
    let (found, report) = try GPTQ.quantize(weight, gram: gram, scheme: scheme)
    #expect(report.isUninformed)
    #expect(report.warnings.contains { $0.contains("all zero") })
    #expect(found.codes == (try RoundToNearest.quantize(weight, scheme: scheme)).codes)
  }

  @Test("dead and nearly dead inputs are zeroed, do not widen a grid, and are told")
  func dead() throws {
    var gram = try GPTQSample.gram(width: width)
    for index in 0..<width {
      gram[5, index] = 0
      gram[index, 5] = 0
      gram[40, index] *= 1e-9
      gram[index, 40] *= 1e-9
    }
    var loud = original
    for row in 0..<loud.rows { loud[row, 5] = 1000 }
    let scheme = try GPTQSample.scheme(3)
    let (found, report) = try GPTQ.quantize(.dense(loud), gram: gram, scheme: scheme)
    #expect(report.deadColumns == [5, 40])
    #expect(report.warnings.contains { $0.contains("2 of 128 inputs") })
    try found.validate()
    let decoded = found.decodedBase()
    #expect((0..<loud.rows).allSatisfy { decoded[$0, 5] == 0 && decoded[$0, 40] == 0 })
    #expect(try GPTQSample.loss(found, loud, gram) < 0.05)
    let nearest = try RoundToNearest.quantize(.dense(loud), scheme: scheme)
    #expect(try GPTQSample.loss(nearest, loud, gram) > 0.05)
  }

  @Test("statistics that cannot be: each a clear error")
  func refused() throws {
    let scheme = try GPTQSample.scheme(3)
    var gram = try GPTQSample.gram(width: width)
    gram[3, 4] = .nan
    #expect(throws: QuantizationError.statisticsNotFinite(row: 3, column: 4)) {
      try GPTQ.quantize(weight, gram: gram, scheme: scheme)
    }
    gram[3, 4] = 0
    gram[7, 7] = -1
    #expect(throws: QuantizationError.statisticsNegative(index: 7, value: -1)) {
      try GPTQ.quantize(weight, gram: gram, scheme: scheme)
    }
    #expect(
      throws: QuantizationError.statisticsMismatch(rows: 64, columns: 128, gram: [64, 64])
    ) {
      try GPTQ.quantize(weight, gram: .identity(64), scheme: scheme)
    }
    var bad = original
    bad[1, 2] = .infinity
    #expect(throws: QuantizationError.weights(.notFinite(row: 1, column: 2))) {
      try GPTQ.quantize(.dense(bad), gram: .identity(128), scheme: scheme)
    }
    #expect(throws: QuantizationError.weights(.groupDoesNotDivide(group: 48, columns: 128))) {
      try GPTQ.quantize(
        weight, gram: .identity(128), scheme: GPTQSample.scheme(3, group: 48))
    }
    let message = "\(QuantizationError.statisticsMismatch(rows: 64, columns: 128, gram: [64, 64]))"
    #expect(message.contains("64 × 128") && message.contains("64 × 64"))
  }

  @Test("one row, one column, groups and rows of zeros, every granularity and width of codes")
  func shapes() throws {
    let gram = try GPTQSample.gram(width: width)
    var zeroed = original
    for column in 0..<width { zeroed[3, column] = 0 }
    for column in 32..<64 { for row in 0..<zeroed.rows { zeroed[row, column] = 0 } }
    for bits in 2...8 {
      for granularity in [Granularity.group(32), .channel, .tensor] {
        for symmetric in [true, false] {
          let scheme = try IntegerScheme(
            bits: bits, symmetric: symmetric, granularity: granularity, clip: .none)
          for order in GPTQOptions.Order.allCases {
            let found = try GPTQ.quantize(
              .dense(zeroed), gram: gram, scheme: scheme, options: GPTQOptions(order: order))
            try found.weight.validate()
            #expect(try GPTQSample.loss(found.weight, zeroed, gram) < 0.7)
          }
        }
      }
    }
    let one = try GPTQ.quantize(
      .dense(original.rows(0..<1)), gram: gram, scheme: GPTQSample.scheme(4))
    try one.weight.validate()
    let column = try GPTQ.quantize(
      .dense(Matrix(rows: 2, columns: 1, values: [1, -2])), gram: .identity(1),
      scheme: IntegerScheme(bits: 4, granularity: .channel))
    try column.weight.validate()
  }

  @Test("huge and tiny weights end finite or in a clear error")
  func magnitudes() throws {
    let gram = try GPTQSample.gram(width: width)
    for scale in [Float(1e-30), 1e-6, 1e4, 1e30, 3e37] {
      let scaled = Matrix(
        rows: original.rows, columns: width,
        values: original.values.map { min(max($0 * scale, -3e38), 3e38) })
      let scheme = try IntegerScheme(
        bits: 3, symmetric: false, granularity: .group(32), scaleType: .f32, clip: .none)
      do {
        try GPTQ.quantize(.dense(scaled), gram: gram, scheme: scheme).weight.validate()
      } catch QuantizationError.overflow {
        #expect(scale >= 1e30)
      }
    }
  }
}

@Suite("Scale refit")
struct ScaleRefitTests {
  let original = Sample.matrix()

  @Test("never worse, for any method's codes; the report's numbers are true")
  func neverWorse() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    for bits in [2, 3, 4, 8] {
      for granularity in [Granularity.group(8), .group(32), .channel, .tensor] {
        let scheme = try IntegerScheme(
          bits: bits, symmetric: bits % 2 == 0, granularity: granularity, clip: .none)
        let nearest = try RoundToNearest.quantize(.dense(original), scheme: scheme)
        let (found, report) = try ScaleRefit.refit(nearest, target: original, gram: gram)
        try found.validate()
        #expect(found.codes == nearest.codes)
        let before = try WeightedError.of(
          WeightedError.subtract(nearest.decodedBase(), from: original), gram: gram)
        let after = try WeightedError.of(
          WeightedError.subtract(found.decodedBase(), from: original), gram: gram)
        #expect(abs(report.before - before) <= 1e-9 * before)
        #expect(abs(report.after - after) <= 1e-4 * before)
        #expect(after <= before)
        if bits <= 3, granularity != .tensor { #expect(after < 0.95 * before) }
      }
    }
  }

  @Test("table formats' scales gain as integers' do, and codes stay")
  func tables() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    for (format, scales, share) in [
      (NumberFormat.ternary, ScaleFormat.f16, 0.95), (.ternary, .f32, 0.95),
      (.minifloat(.e2m1), .f16, 0.99), (.minifloat(.e2m1), .e4m3, 1),
      // All scales are stored together: nothing changes.
      (.ternary, .dynamic8, 1),
    ] {
      let scheme = try TableScheme(
        TableGrid(format: format, granularity: .group(32), scaleFormat: scales),
        clip: .none)
      let nearest = try RoundToNearest.quantize(.dense(original), scheme: scheme)
      let (found, report) = try ScaleRefit.refit(nearest, target: original, gram: gram)
      try found.validate()
      guard case .table(let before) = nearest.base, case .table(let after) = found.base else {
        Issue.record("not a table")
        return
      }
      #expect(before.codes.bytes.array(of: UInt8.self) == after.codes.bytes.array(of: UInt8.self))
      let losses = try [nearest, found].map {
        try WeightedError.of(
          WeightedError.subtract($0.decodedBase(), from: original), gram: gram)
      }
      #expect(abs(report.before - losses[0]) <= 1e-9 * losses[0])
      #expect(abs(report.after - losses[1]) <= 1e-4 * losses[0])
      #expect(losses[1] <= share * losses[0], "\(format) \(scales)")
      #expect((report.rowsImproved > 0) == (scales != .dynamic8), "\(format) \(scales)")
    }
  }

  @Test("every row by itself is never worse")
  func rows() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let scheme = try GPTQSample.scheme(2)
    let nearest = try RoundToNearest.quantize(.dense(original), scheme: scheme)
    let found = try ScaleRefit.refit(nearest, target: original, gram: gram).weight
    let (left, right) = (nearest.decodedBase(), found.decodedBase())
    for row in 0..<original.rows {
      func error(_ decoded: Matrix<Float>) throws -> Double {
        try WeightedError.of(
          WeightedError.subtract(decoded.rows(row..<row + 1), from: original.rows(row..<row + 1)),
          gram: gram)
      }
      #expect(try error(right) <= error(left) * (1 + 1e-6))
    }
  }

  @Test("scales that were spoilt come back; what is exact stays exact; singular statistics do")
  func recovers() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let scheme = try GPTQSample.scheme(4)
    let nearest = try RoundToNearest.quantize(.dense(original), scheme: scheme)
    let exact = nearest.decodedBase()
    let same = try ScaleRefit.refit(nearest, target: exact, gram: gram)
    #expect(same.report.rowsImproved == 0)
    #expect(same.weight.scaleBytes == nearest.scaleBytes)
    guard case .integer(var base) = nearest.base else { return }
    base.scales = base.grid.tensor(
      ofScales: base.scales.floats().map { $0 * 1.5 }, shape: base.scales.shape)
    var spoilt = nearest
    spoilt.base = .integer(base)
    let back = try ScaleRefit.refit(spoilt, target: exact, gram: gram).weight
    #expect(try GPTQSample.loss(back, exact, gram) < 1e-6)
    let thin = try GPTQSample.gram(width: Sample.columns, rows: 3)
    let (found, report) = try ScaleRefit.refit(nearest, target: original, gram: thin)
    try found.validate()
    #expect(report.after <= report.before)
  }

  @Test("a base of plain numbers has no scales")
  func refused() throws {
    #expect(throws: QuantizationError.notQuantized(operation: "a refit of scales")) {
      try ScaleRefit.refit(.dense(original), target: original, gram: .identity(Sample.columns))
    }
  }
}
