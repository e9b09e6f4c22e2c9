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

  @Test(
    "products with survivors: every instruction set as the plain twin",
    arguments: [1, 7, 16, 33, 200])
  func products(columns: Int) {
    let draws = Sample.normals(columns, seed: 2)
    var bitmap = [UInt8](repeating: 0, count: (columns + 7) / 8)
    for (index, draw) in draws.enumerated() where draw < 0.3 {
      bitmap[index / 8] |= 1 << UInt8(index % 8)
    }
    let values = Sample.normals(columns + 16)
    let codes = (0..<columns + 16).map { UInt8($0 * 7 % 16) }
    let inputs = Sample.normals(13 * columns, seed: 12)
    for group in [1, 5, 16, 24, 512] {
      let groups = (columns + group - 1) / group
      let scales = Sample.normals(groups, seed: 3)
      let zeros = (0..<groups).map { Float($0 % 16) }
      var plain = [Float](repeating: 0, count: 26)
      var coded = plain
      pith_multiply_survivors_reference(bitmap, values, columns, inputs, 13, columns, &plain, 2)
      pith_multiply_survivor_codes_reference(
        bitmap, codes, columns, group, scales, zeros, inputs, 13, columns, &coded, 2)
      forEachTarget { name in
        for rows in [1, 4, 6, 13] {
          var found = [Float](repeating: 0, count: 26)
          pith_multiply_survivors(bitmap, values, columns, inputs, rows, columns, &found, 2)
          #expect(found.prefix(2 * rows) == plain.prefix(2 * rows), "\(name)")
          pith_multiply_survivor_codes(
            bitmap, codes, columns, group, scales, zeros, inputs, rows, columns, &found, 2)
          #expect(found.prefix(2 * rows) == coded.prefix(2 * rows), "\(name)")
        }
      }
    }
  }

  @Test("patterns of four by a table are the plain words", arguments: [(1, 4), (2, 4), (3, 4)])
  func patterns(keep: Int, of: Int) {
    let table = (0..<16).filter { $0.nonzeroBitCount == keep }.map(UInt16.init)
    let bits = table.count == 4 ? 2 : 3
    for groups in [1, 2, 7, 8, 9, 40] {
      let numbers = (0..<groups).map { ($0 * 5 + 1) % table.count }
      var packed = [UInt8](repeating: 0, count: (groups * bits + 7) / 8)
      var expected = [UInt8](repeating: 0, count: (groups * of + 7) / 8)
      for (group, number) in numbers.enumerated() {
        for bit in 0..<bits where number >> bit & 1 == 1 {
          packed[(group * bits + bit) / 8] |= 1 << UInt8((group * bits + bit) % 8)
        }
        for bit in 0..<of where table[number] >> UInt16(bit) & 1 == 1 {
          expected[(group * of + bit) / 8] |= 1 << UInt8((group * of + bit) % 8)
        }
      }
      var found = [UInt8](repeating: 9, count: expected.count)
      pith_expand_patterns(packed, groups, Int32(bits), Int32(of), table, &found)
      #expect(found == expected)
    }
  }

  struct Run: Equatable {
    var differences: [Float]
    var errors: [Float]
    var kept: [UInt8]
    var codes: [UInt8]
    var wanted: [Float]
    var keys: [UInt32]
    var loss: Double
  }

  static func run(pattern: (Int32, Int32), rounding: Bool, reference: Bool) -> Run {
    let (count, stride) = (24, 64)
    let targets = Sample.normals(count * stride, seed: 5)
    let sums = Sample.normals(count * stride, seed: 8, scale: 0.3)
    var kept = [UInt8](repeating: 1, count: count * stride)
    var factor = Sample.normals(count * count, seed: 6, scale: 0.2)
    for index in 0..<count { factor[index * (count + 1)] = 0.5 + Float(index % 3) }
    for index in targets.indices {
      if pattern.1 == 0, abs(targets[index]) < 0.6 { kept[index] = 0 }
      if index % 17 == 3 { kept[index] = 0 }
    }
    let grids = (0..<count).map { Int32($0 / 8) }
    let scales = [Float](repeating: 0.3, count: stride * 3)
    let zeros = [Float](repeating: 7, count: stride * 3)
    var result = Run(
      differences: Array(repeating: 0, count: count * stride),
      errors: Array(repeating: 0, count: count * stride), kept: kept,
      codes: Array(repeating: 0, count: count * stride),
      wanted: Array(repeating: 0, count: count * stride),
      keys: Array(repeating: 0, count: count * stride), loss: 0)
    result.differences.withUnsafeMutableBufferPointer { differences in
      result.errors.withUnsafeMutableBufferPointer { errors in
        result.kept.withUnsafeMutableBufferPointer { kept in
          result.codes.withUnsafeMutableBufferPointer { codes in
            targets.withUnsafeBufferPointer { targets in
              factor.withUnsafeBufferPointer { factor in
                sums.withUnsafeBufferPointer { sums in
                  scales.withUnsafeBufferPointer { scales in
                    zeros.withUnsafeBufferPointer { zeros in
                      grids.withUnsafeBufferPointer { grids in
                        var run = PithPruneRun(
                          count: count, stride: stride, targets: targets.baseAddress,
                          factor: factor.baseAddress, sums: sums.baseAddress,
                          kept: kept.baseAddress, differences: differences.baseAddress,
                          errors: errors.baseAddress, keep: pattern.0, of: pattern.1, top: 15,
                          codes: rounding ? codes.baseAddress : nil, scales: scales.baseAddress,
                          zeros: zeros.baseAddress, grid_index: grids.baseAddress)
                        if reference {
                          pith_prune_look_reference(&run, &result.wanted, &result.keys)
                          result.loss = pith_prune_sweep_reference(&run)
                        } else {
                          pith_prune_look(&run, &result.wanted, &result.keys)
                          result.loss = pith_prune_sweep(&run)
                        }
                      }
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
    return result
  }

  @Test("the sweep: every instruction set as the plain twin")
  func sweeping() {
    for pattern in [(Int32(0), Int32(0)), (2, 4), (3, 8), (1, 3), (5, 12)] {
      for rounding in [false, true] {
        let plain = Self.run(pattern: pattern, rounding: rounding, reference: true)
        #expect(plain.loss > 0 && plain.kept.contains(0))
        if pattern.1 > 0 {
          for row in 0..<64 {
            for start in stride(from: 0, to: 24, by: Int(pattern.1)) {
              let kept = (start..<start + Int(pattern.1)).reduce(0) {
                $0 + Int(plain.kept[$1 * 64 + row])
              }
              #expect(kept <= Int(pattern.0))
            }
          }
        }
        forEachTarget { name in
          let found = Self.run(pattern: pattern, rounding: rounding, reference: false)
          #expect(found == plain, "\(name)")
        }
      }
    }
  }

  @Test("the key at a rank is the sorted one's")
  func selecting() {
    let keys = Sample.normals(3000, seed: 4).map { ($0 * $0).bitPattern / 1000 * 1000 }
    let sorted = keys.sorted()
    for rank in [0, 1, 17, 1500, 2998, 2999] {
      var (below, equal) = (0, 0)
      let found = pith_select_key(keys, keys.count, rank, &below, &equal)
      #expect(found == sorted[rank])
      #expect(below == keys.filter { $0 < found }.count)
      #expect(equal == keys.filter { $0 == found }.count)
    }
  }

  @Test("into lanes and out again", arguments: [(37, 11), (16, 16), (5, 40), (64, 33)])
  func lanes(rows: Int, columns: Int) {
    let stride = 64
    let values = Sample.normals(rows * columns, seed: 9)
    var lanes = [Float](repeating: 9, count: columns * stride)
    pith_reversed_lanes(values, rows, columns, stride, &lanes)
    let kept = (0..<columns * stride).map { UInt8($0 % 3 == 0 ? 0 : 1) }
    let differences = Sample.normals(columns * stride, seed: 10)
    let bytes = (columns + 7) / 8
    var plain = [Float](repeating: 9, count: rows * columns)
    var plainBits = [UInt8](repeating: 9, count: rows * bytes)
    let sum = pith_survivors_from_lanes_reference(
      lanes, differences, kept, rows, columns, stride, &plain, &plainBits)
    for row in 0..<rows {
      for column in 0..<columns {
        let at = (columns - 1 - column) * stride + row
        let place = row * columns + column
        #expect(plain[place] == (kept[at] == 1 ? values[place] - differences[at] : 0))
        #expect((plainBits[row * bytes + column / 8] >> UInt8(column % 8) & 1) == kept[at])
      }
    }
    forEachTarget { name in
      var found = [Float](repeating: 9, count: rows * columns)
      var bits = [UInt8](repeating: 9, count: rows * bytes)
      let squares = pith_survivors_from_lanes(
        lanes, differences, kept, rows, columns, stride, &found, &bits)
      #expect(found == plain && bits == plainBits && squares == sum, "\(name)")
    }
    if rows < stride { #expect(lanes[stride - 1] == 0) }
  }
}
