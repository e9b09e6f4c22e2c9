import Tensors
import Testing
import Weights

@testable import Interchange

@Suite struct StagingBufferTests {
  /// What arrives is what was appended, in order, and pieces end where pages of the file do.
  @Test(arguments: [0, 1, 8, 4095, 4096, 1_000_003])
  func bytesArriveInOrderAtBordersOfPages(_ position: Int) throws {
    let staging = StagingBuffer()
    // Twice: nothing of a tensor is left for the next.
    for round in 0..<2 {
      let random = Philox(seed: UInt64(position + round))
      var (expected, found): ([UInt8], [UInt8]) = ([], [])
      var ends: [Int] = []
      try staging.collect(at: position) { buffer in
        for step in 0..<40 {
          let count = Int(random.block(SIMD4(repeating: UInt32(step))).x % 100_000)
          let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ count) }
          expected += bytes
          try buffer.append(count) { target in target.copyBytes(from: bytes) }
        }
        let large = [UInt8](repeating: 7, count: 700_000)
        expected += large
        try buffer.append(large.count) { $0.copyBytes(from: large) }
        expected += large
        try buffer.append(Bytes(large))
      } put: { bytes, offset in
        #expect(offset == found.count)
        found += bytes
        ends.append(position + found.count)
      }
      #expect(found == expected)
      // All but the pieces around what is larger than the buffer, and the end.
      #expect(ends.filter { $0 % 4096 == 0 }.count >= ends.count - 3, "\(ends)")
    }
  }

  @Test(arguments: [DType.f32, .f16, .bf16]) func rowsAreReadInAnyOrderAndType(
    _ dtype: DType
  ) throws {
    let (rows, columns) = (700, 129)
    let values = (0..<rows * columns).map { Float(($0 * 7919) % 2003) / 1001 - 1 }
    let tensor = Tensor(dtype: .f32, shape: [rows, columns], array: values)
    let order = (0..<rows).map { $0 % 2 * (rows / 2) + $0 / 2 }
    for order in [nil, order, Array((0..<rows).reversed())] {
      let sorted = (order ?? Array(0..<rows)).flatMap {
        values[$0 * columns..<($0 + 1) * columns]
      }
      let expected = try PlainValues.bytes(sorted, as: dtype).array(of: UInt8.self)
      for position in [0, 1] {
        var found: [UInt8] = []
        try StagingBuffer().collect(at: position) {
          try $0.append(tensor, as: dtype, order: order)
        } put: { bytes, _ in
          found += bytes
        }
        #expect(found == expected)
      }
    }
  }

  /// A few rows at a time are the bits of all at once, of every form of base.
  @Test func weightsDecodeByRows() throws {
    let matrix = Matrix<Float>(
      rows: 300, columns: 256,
      values: (0..<300 * 256).map { Float(($0 * 7919) % 2003) / 1001 - 1 })
    var mask = [UInt8](repeating: 0b1011_0101, count: 300 * 32)
    mask[5] = 0
    let bases: [Base] = [
      .dense(matrix, as: .f16),
      .integer(
        try .roundToNearest(
          matrix, scheme: IntegerScheme(bits: 3, symmetric: false, granularity: .group(32)))),
      .integer(try .roundToNearest(matrix, scheme: IntegerScheme(bits: 8, granularity: .tensor))),
      .table(
        try .roundToNearest(
          matrix,
          scheme: TableScheme(
            TableGrid(
              format: .minifloat(.e2m1), granularity: .group(16), scaleFormat: .e4m3)))),
      .table(
        try .roundToNearest(
          matrix,
          scheme: TableScheme(
            TableGrid(format: .normalFloat4, granularity: .group(64), scaleFormat: .dynamic8)))),
    ]
    for base in bases {
      var weight = CompressedWeight(view: WeightView(rows: 300, columns: 256), base: base)
      weight.mask = Mask(bits: Tensor(dtype: .u8, shape: [300, 32], array: mask))
      weight.outliers = Outliers(
        columns: [3, 77], values: Matrix(rows: 300, columns: 2, repeating: 0.25))
      #expect(weight.decodesByRows)
      let expected = Bytes(weight.decoded().values).array(of: UInt8.self)
      var found: [UInt8] = []
      try StagingBuffer().collect(at: 0) {
        try $0.append(weight, as: .f32)
      } put: { bytes, _ in
        found += bytes
      }
      #expect(found == expected)
    }
  }
}
