import Kernels
import Tensors
import Testing

@Suite("Kernels: pruned weights")
struct SparseKernelTests {
  @Test(
    "spreading survivors: every instruction set as the plain twin", arguments: [1, 7, 16, 33, 200])
  func spreading(columns: Int) {
    let draws = Sample.normals(columns, seed: 2)
    var bitmap = [UInt8](repeating: 0, count: (columns + 7) / 8)
    for (index, draw) in draws.enumerated() where draw < 0.3 {
      bitmap[index / 8] |= 1 << UInt8(index % 8)
    }
    let values = Sample.normals(columns + 16)
    let codes = (0..<columns + 16).map { UInt8($0 * 7 % 16) }
    for group in [1, 5, 16, 24, 512] {
      let groups = (columns + group - 1) / group
      let scales = Sample.normals(groups, seed: 3)
      let zeros = (0..<groups).map { Float($0 % 16) }
      var plain = [Float](repeating: 9, count: columns)
      let taken = pith_expand_floats_reference(bitmap, values, columns, &plain)
      var coded = [Float](repeating: 9, count: columns)
      let takenCodes = pith_expand_codes_reference(
        bitmap, codes, columns, group, scales, zeros, &coded)
      forEachTarget { name in
        var found = [Float](repeating: 9, count: columns)
        #expect(pith_expand_floats(bitmap, values, columns, &found) == taken)
        #expect(found == plain, "\(name)")
        #expect(
          pith_expand_codes(bitmap, codes, columns, group, scales, zeros, &found) == takenCodes)
        #expect(found == coded, "\(name)")
      }
    }
  }

  struct Run: Equatable {
    var values: [Float]
    var errors: [Float]
    var kept: [UInt8]
    var codes: [UInt8]
    var loss: Double
  }

  static func run(pattern: (Int32, Int32), rounding: Bool, reference: Bool) -> Run {
    let (rows, width, used) = (5, 48, 40)
    var values = Sample.normals(rows * width, seed: 5)
    var kept = [UInt8](repeating: 1, count: rows * width)
    var factor = Sample.normals(width * width, seed: 6, scale: 0.2)
    for row in 0..<width {
      for column in 0..<width {
        if column < row || column >= used || row >= used { factor[row * width + column] = 0 }
        if column == row { factor[row * width + column] = 0.5 + Float(row % 3) }
      }
    }
    for index in values.indices {
      if index % width >= used { values[index] = 0 }
      if pattern.1 == 0, abs(values[index]) < 0.6 { kept[index] = 0 }
      if index % 17 == 3 { kept[index] = 0 }
    }
    var errors = [Float](repeating: 0, count: rows * width)
    var codes = [UInt8](repeating: 0, count: rows * width)
    let scales = [Float](repeating: 0.3, count: rows * 5)
    let zeros = [Float](repeating: 7, count: rows * 5)
    var loss = 0.0
    values.withUnsafeMutableBufferPointer { values in
      errors.withUnsafeMutableBufferPointer { errors in
        kept.withUnsafeMutableBufferPointer { kept in
          codes.withUnsafeMutableBufferPointer { codes in
            factor.withUnsafeBufferPointer { factor in
              scales.withUnsafeBufferPointer { scales in
                zeros.withUnsafeBufferPointer { zeros in
                  var tile = PithSweepTile(
                    values: values.baseAddress, errors: errors.baseAddress, kept: kept.baseAddress,
                    factor: factor.baseAddress, rows: rows, width: width, keep: pattern.0,
                    of: pattern.1, codes: rounding ? codes.baseAddress : nil,
                    scales: scales.baseAddress, zeros: zeros.baseAddress, grid_stride: 5, group: 8,
                    column: 0, top: 15)
                  for (first, last) in [(0, 16), (16, used)] {
                    loss +=
                      reference
                      ? pith_sparse_sweep_reference(&tile, first, last)
                      : pith_sparse_sweep(&tile, first, last)
                  }
                }
              }
            }
          }
        }
      }
    }
    return Run(values: values, errors: errors, kept: kept, codes: codes, loss: loss)
  }

  @Test("the sweep: every instruction set as the plain twin")
  func sweeping() {
    for pattern in [(Int32(0), Int32(0)), (2, 4), (3, 8)] {
      for rounding in [false, true] {
        let plain = Self.run(pattern: pattern, rounding: rounding, reference: true)
        #expect(plain.loss > 0 && plain.kept.contains(0))
        forEachTarget { name in
          #expect(
            Self.run(pattern: pattern, rounding: rounding, reference: false) == plain, "\(name)")
        }
      }
    }
  }
}
