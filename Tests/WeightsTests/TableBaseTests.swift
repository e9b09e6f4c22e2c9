import Kernels
import Tensors
import Testing

@testable import Weights

@Suite("Weights: table formats")
struct TableBaseTests {
  @Test("kernels are their plain twins on every instruction set")
  func kernels() {
    let source = Sample.matrix(1, 611, seed: 5).values
    for format in FormatSample.formats {
      let table = format.table
      let scales = (0..<40).map { 3 / table.reach * Float(1.4 - 0.03 * Double($0)) }
      for count in [16, 61, 611] {
        table.withKernelTable { kernel in
          let expectedError = pith_table_error_reference(kernel, scales[20], source, count)
          let expectedBest = pith_table_choose_reference(
            kernel, scales, scales.count, source, count)
          var expected = ([UInt8](repeating: 0, count: count), [Float](repeating: 0, count: count))
          pith_table_encode_reference(
            kernel, scales[20], source, count, &expected.0, &expected.1)
          FormatSample.forEachTarget { target in
            #expect(
              pith_table_error(kernel, scales[20], source, count) == expectedError,
              "\(format.name) \(target)")
            #expect(
              pith_table_choose(kernel, scales, scales.count, source, count) == expectedBest,
              "\(format.name) \(target)")
            var found = ([UInt8](repeating: 0, count: count), [Float](repeating: 0, count: count))
            pith_table_encode(kernel, scales[20], source, count, &found.0, &found.1)
            #expect(found.0 == expected.0 && found.1 == expected.1, "\(format.name) \(target)")
          }
        }
      }
    }
  }

  @Test("decoding and the fused product are their plain twins, for every grid")
  func decoding() throws {
    for columns in [48, 1312] {
      let weight = Sample.matrix(5, columns, seed: 9, scale: 0.02)
      let x = Sample.matrix(7, columns, seed: 10)
      for grid in try FormatSample.grids() {
        let base = try TableBase.roundToNearest(weight, scheme: TableScheme(grid, clip: .none))
        try Base.table(base).validate(part: "base", rows: 5, columns: columns)
        let bytes = Base.table(base).payloads.reduce(0) { $0 + $1.bytes.count }
        #expect(bytes == grid.storedBytes(rows: 5, columns: columns))
        // Every value from its code and its scale, one by one.
        let scales = base.scaleValues()
        let length = grid.groupLength(columns: columns)
        let decoded = base.decoded()
        for row in 0..<5 {
          let codes = base.unpackedCodes(row: row)
          for column in 0..<columns {
            let place = grid.granularity == .tensor ? 0 : row * (columns / length) + column / length
            #expect(
              decoded[row, column] == base.table.value(of: codes[column]) * scales[place],
              "\(grid)")
          }
        }
        base.withKernelRows { rows in
          var expected = [Float](repeating: 0, count: 3 * columns)
          pith_decode_table_reference(rows, 1, 3, &expected, columns)
          var products = [Float](repeating: 0.5, count: 7 * 3)
          pith_multiply_table_reference(rows, 1, 3, x.values, 7, columns, &products, 3)
          FormatSample.forEachTarget { target in
            var found = [Float](repeating: 0, count: 3 * columns)
            pith_decode_table(rows, 1, 3, &found, columns)
            #expect(found == expected, "\(grid) \(target)")
            var sums = [Float](repeating: 0.5, count: 7 * 3)
            pith_multiply_table(rows, 1, 3, x.values, 7, columns, &sums, 3)
            for (a, b) in zip(sums, products) { #expect(abs(a - b) < 1e-4, "\(grid) \(target)") }
          }
        }
      }
    }
  }

  @Test("encoding what was decoded changes nothing; any number of workers gives the same bytes")
  func idempotence() throws {
    let weight = Sample.matrix(67, 96, seed: 2, scale: 0.05)
    let pool = WorkerPool(workers: 3)
    for grid in try FormatSample.grids() {
      for clip in [ClipSearch.none, .meanSquare(steps: 20)] {
        let scheme = try TableScheme(grid, clip: clip)
        let base = try TableBase.roundToNearest(weight, scheme: scheme)
        let parallel = try TableBase.roundToNearest(weight, scheme: scheme, pool: pool)
        for (a, b) in zip(Base.table(base).payloads, Base.table(parallel).payloads) {
          #expect(a.bytes.array(of: UInt8.self) == b.bytes.array(of: UInt8.self), "\(grid)")
        }
        let decoded = base.decoded()
        let encoder = try TableEncoder(scheme, columns: 96)
        let again = encoder.codes(of: decoded, scales: base.scaleValues(), pool: .serial)
        #expect(
          again.codes.bytes.array(of: UInt8.self) == base.codes.bytes.array(of: UInt8.self),
          "\(grid)")
        #expect(again.errors.squaredError == 0)
      }
    }
  }

  @Test("a search is never worse than the whole range, and better on normal weights")
  func search() throws {
    let weight = Sample.matrix(64, 256, seed: 8)
    for format in FormatSample.formats {
      for scales in [ScaleFormat.f16, .f32] {
        let grid = try TableGrid(
          format: format, granularity: .group(64), scaleFormat: scales)
        let plain = try TableBase.rounded(weight, scheme: TableScheme(grid, clip: .none)).errors
        let searched = try TableBase.rounded(weight, scheme: TableScheme(grid)).errors
        #expect(searched.squaredError <= plain.squaredError, "\(format.name)")
        if format.bits <= 4, format != .power(bits: 2, exponent: 0.75) {
          #expect(searched.squaredError < 0.99 * plain.squaredError, "\(format.name)")
        }
      }
    }
    let grid = try TableGrid(
      format: .minifloat(.e2m1), granularity: .group(32), scaleFormat: .e8m0)
    let errors = try [ScaleRule.absmax, .floor, .roundUp].map {
      try TableBase.rounded(weight, scheme: TableScheme(grid, rule: $0, clip: .none))
        .errors.squaredError
    }
    let searched = try TableBase.rounded(weight, scheme: TableScheme(grid)).errors.squaredError
    for error in errors { #expect(searched < error) }
  }

  @Test("zeros, extremes and awkward rows stay finite and valid")
  func extremes() throws {
    var rows = [[Float]](repeating: [Float](repeating: 0, count: 32), count: 7)
    rows[1] = (0..<32).map { $0 == 5 ? 1e4 : 1e-3 }
    rows[2] = Array(repeating: 3, count: 32)
    rows[3] = (0..<32).map { Float($0) * .leastNonzeroMagnitude * 7000 }
    rows[4] = (0..<32).map { $0 % 2 == 0 ? 3e38 : -3e38 }
    rows[5] = (0..<32).map { $0 < 16 ? 0 : -Float($0) }
    rows[6] = (0..<32).map { _ in -0.0 }
    for weight in [
      Matrix(rows: 7, columns: 32, values: rows.flatMap { $0 }),
      Matrix(rows: 2, columns: 32, values: rows[0] + rows[6]),
    ] {
      for grid in try FormatSample.grids() {
        for clip in [ClipSearch.none, .meanSquare(steps: 10)] {
          let base = try TableBase.roundToNearest(
            weight, scheme: TableScheme(grid, clip: clip))
          try Base.table(base).validate(part: "base", rows: weight.rows, columns: 32)
          let decoded = base.decoded()
          let isFinite = decoded.values.allSatisfy { $0.isFinite }
          #expect(isFinite, "\(grid)")
          let isZero = decoded.values[0..<32].allSatisfy { $0 == 0 }
          #expect(isZero, "\(grid)")
        }
      }
    }
    let bad = Matrix<Float>(rows: 1, columns: 16, values: (0..<16).map { $0 == 3 ? .nan : 1 })
    #expect(throws: WeightsError.notFinite(row: 0, column: 3)) {
      try TableBase.roundToNearest(
        bad, scheme: TableScheme(TableGrid(format: .normalFloat4, granularity: .channel)))
    }
  }
}
