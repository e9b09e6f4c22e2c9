import Kernels
import Tensors
import Testing

@Suite("Kernels: integer grids")
struct IntegerGridTests {
  /// What one encoding leaves.
  struct Encoded: Equatable {
    var codes: [UInt8]
    var scales: [UInt8]
    var zeros: [UInt8]
    var sums: [Double]
    var bad: Int64
  }

  struct Case: CustomStringConvertible, Sendable {
    var bits: Int32
    var symmetric: Bool
    var scaleType: Int
    var rows: Int
    var columns: Int
    var group: Int
    var clipSteps: Int32 = 1
    var description: String {
      "\(bits) bits, sym \(symmetric), type \(scaleType), \(rows)×\(columns)/\(group)"
    }
    var grid: PithGrid {
      PithGrid(
        bits: bits, symmetric: symmetric ? 1 : 0, scale_type: Int32(scaleType),
        clip_steps: clipSteps, clip_step: 0.01)
    }
  }

  static func encode(_ values: [Float], _ given: Case, reference: Bool) -> Encoded {
    var grid = given.grid
    let groups = given.columns / given.group
    let rowBytes = (given.columns * Int(given.bits) + 7) / 8
    let zeroBytes = (groups * Int(given.bits) + 7) / 8
    let size = given.scaleType == 0 ? 4 : 2
    // Guard bytes behind the end must survive.
    var codes = [UInt8](repeating: 0xAA, count: given.rows * rowBytes + 8)
    var scales = [UInt8](repeating: 0xAA, count: given.rows * groups * size + 8)
    var zeros = [UInt8](repeating: 0xAA, count: given.rows * zeroBytes + 8)
    var sums = PithErrorSums()
    let encode = reference ? pith_encode_integer_reference : pith_encode_integer
    let bad = scales.withUnsafeMutableBytes { scaleBytes in
      zeros.withUnsafeMutableBufferPointer { zeroBytes in
        encode(
          &grid, nil, values, given.rows, given.columns, given.group, &codes,
          scaleBytes.baseAddress, given.symmetric ? nil : zeroBytes.baseAddress, &sums)
      }
    }
    return Encoded(
      codes: codes, scales: scales, zeros: zeros,
      sums: [
        sums.squared_error, sums.squared_original, sums.squared_approximation, sums.product,
        sums.maximum_absolute_error, Double(sums.count),
      ], bad: bad)
  }

  static let cases: [Case] = {
    var result: [Case] = []
    for bits in Int32(2)...8 {
      for symmetric in [true, false] {
        for scaleType in 0...2 {
          for (rows, columns, group) in [(3, 64, 32), (2, 2176, 128), (2, 77, 77), (3, 60, 12)] {
            result.append(
              Case(
                bits: bits, symmetric: symmetric, scaleType: scaleType, rows: rows,
                columns: columns, group: group))
          }
        }
      }
    }
    return result
  }()

  @Test("codes, scales, zeros and error sums are the plain encoder's bits on every target")
  func encodersAgree() {
    for given in Self.cases {
      var values = Sample.normals(given.rows * given.columns, scale: 0.02)
      for (index, value) in Sample.awkward.enumerated() where given.rows * given.columns > 200 {
        values[index * 7] = value
      }
      let expected = Self.encode(values, given, reference: true)
      forEachTarget { target in
        #expect(
          Self.encode(values, given, reference: false) == expected, "\(given) on \(target)")
      }
    }
  }

  @Test("the clip search chooses the same scales everywhere")
  func clipSearchAgrees() {
    for symmetric in [true, false] {
      for bits in Int32(2)...4 {
        let given = Case(
          bits: bits, symmetric: symmetric, scaleType: 1, rows: 2, columns: 256, group: 64,
          clipSteps: 80)
        let values = Sample.normals(512, seed: UInt64(bits))
        let expected = Self.encode(values, given, reference: true)
        forEachTarget { target in
          #expect(
            Self.encode(values, given, reference: false) == expected, "\(given) on \(target)")
        }
      }
    }
  }

  @Test("the clip search finds the minimum over all candidates, though it need not try them all")
  func clipSearchIsExhaustive() {
    for symmetric in [true, false] {
      for bits in Int32(2)...8 {
        for seed in UInt64(1)...12 {
          let given = Case(
            bits: bits, symmetric: symmetric, scaleType: 0, rows: 1, columns: 64, group: 64,
            clipSteps: 95)
          var values = Sample.normals(64, seed: seed)
          if seed % 3 == 0 { values[5] *= 30 }
          if seed % 4 == 0 { values = values.map { abs($0) } }
          var grid = given.grid
          let range = pith_range(values, 64)
          var best = Double.infinity
          var scale: Float = 0
          for step in 0..<95 {
            let point = pith_grid_for_range(
              &grid, range.minimum, range.maximum, 1 - Double(step) * 0.01)
            let error = pith_grid_error_reference(&grid, point, values, 64)
            if error < best { (best, scale) = (error, point.scale) }
          }
          let encoded = Self.encode(values, given, reference: false)
          let found = encoded.scales.withUnsafeBytes { $0.loadUnaligned(as: Float.self) }
          #expect(found == scale, "\(given), seed \(seed)")
        }
      }
    }
  }

  @Test(
    "scales are stored as the conversions round them, ties to even, and never beyond their type")
  func storedScales() {
    var scales = Sample.normals(4096, seed: 3).map { abs($0) }
    for exponent in stride(from: -126, through: 120, by: 3) {
      // Halves of the last place kept, and what lies beside them.
      for bits in [UInt32(0), 0x1000, 0x3000, 0x1001, 0xFFF, 0x8000, 0x18000, 0x7FFF, 0x7F_FFFF] {
        scales.append(
          Float(sign: .plus, exponent: exponent, significand: 1 + Float(bits) * 0x1p-23))
      }
    }
    scales += [0, 65504, 65519, 65520, .greatestFiniteMagnitude, .infinity, .leastNonzeroMagnitude]
    let room: Float = 1.0 / 16
    for scale in scales {
      let half = min(max(scale, 0x1p-14), 65504)
      #expect(pith_stored_scale(scale, Int32(PITH_F16), 4) == Float(Float16(half)))
      let brain = min(max(scale, .leastNormalMagnitude), 0x1.FEp127 * room)
      var bytes = [UInt8](repeating: 0, count: 2)
      var expected: Float = 0
      pith_f32_to_bf16_reference([brain], &bytes, 1)
      pith_bf16_to_f32_reference(bytes, &expected, 1)
      #expect(pith_stored_scale(scale, Int32(PITH_BF16), 4) == expected)
      let single = min(max(scale, .leastNormalMagnitude), .greatestFiniteMagnitude * room)
      #expect(pith_stored_scale(scale, Int32(PITH_F32), 4) == single)
    }
  }

  @Test("NaN and infinity are found at their place")
  func nonFinite() {
    let given = Case(bits: 4, symmetric: true, scaleType: 1, rows: 2, columns: 128, group: 32)
    for (place, bad) in [(0, Float.nan), (131, Float.infinity), (255, -Float.infinity)] {
      var values = Sample.normals(256)
      values[place] = bad
      forEachTarget { _ in
        #expect(Self.encode(values, given, reference: false).bad == Int64(place))
      }
      #expect(Self.encode(values, given, reference: true).bad == Int64(place))
    }
  }

  @Test("packing and unpacking equal the plain versions for 1 to 8 bits, lengths 0 to 200")
  func packing() {
    var word: UInt32 = 7
    for bits in Int32(1)...8 {
      for count in 0...200 {
        let codes = (0..<count).map { _ -> UInt8 in
          word = word &* 1_664_525 &+ 1_013_904_223
          return UInt8(word >> 16 & UInt32((1 << bits) - 1))
        }
        let bytes = (count * Int(bits) + 7) / 8
        var packed = [UInt8](repeating: 0xAA, count: bytes + 8)
        var plain = packed
        pith_pack_codes(codes, count, bits, &packed)
        pith_pack_codes_reference(codes, count, bits, &plain)
        #expect(packed == plain)
        var back = [UInt8](repeating: 0xAA, count: count + 8)
        pith_unpack_codes(packed, count, bits, &back)
        #expect(Array(back.prefix(count)) == codes)
        #expect(back.suffix(8).allSatisfy { $0 == 0xAA })
        pith_unpack_codes_reference(packed, count, bits, &back)
        #expect(Array(back.prefix(count)) == codes)
      }
    }
  }

  /// Encodes and hands the rows to a body.
  static func withRows(
    _ given: Case, _ body: (UnsafePointer<PithIntegerRows>) -> Void
  ) {
    let values = Sample.normals(given.rows * given.columns, seed: 9)
    let encoded = Self.encode(values, given, reference: false)
    let groups = given.columns / given.group
    encoded.codes.withUnsafeBufferPointer { codes in
      encoded.scales.withUnsafeBytes { scales in
        encoded.zeros.withUnsafeBufferPointer { zeros in
          var rows = PithIntegerRows(
            codes: codes.baseAddress, scales: scales.baseAddress,
            zeros: given.symmetric ? nil : zeros.baseAddress,
            codes_stride: (given.columns * Int(given.bits) + 7) / 8, scales_stride: groups,
            zeros_stride: (groups * Int(given.bits) + 7) / 8, columns: given.columns,
            group: given.group, bits: given.bits, scale_type: Int32(given.scaleType))
          body(&rows)
        }
      }
    }
  }

  @Test("decoding any range of columns gives the plain decoder's bits")
  func decodersAgree() {
    for given in Self.cases {
      Self.withRows(given) { rows in
        forEachTarget { target in
          for (first, count) in [(0, given.columns), (1, 5), (13, 40), (given.columns - 3, 3)] {
            var found = [Float](repeating: -1, count: given.rows * count)
            var expected = found
            pith_decode_integer(rows, 0, given.rows, first, count, &found, count)
            pith_decode_integer_reference(rows, 0, given.rows, first, count, &expected, count)
            #expect(found == expected, "\(given) from \(first), \(count), on \(target)")
          }
        }
      }
    }
  }

  @Test("the fused product equals the plain one to 1e-5 of the sum of magnitudes")
  func products() {
    for given in Self.cases where given.columns > 70 || given.group == 12 {
      Self.withRows(given) { rows in
        for inputRows in [1, 2, 3, 4, 5, 8] {
          let x = Sample.normals(inputRows * given.columns, seed: 3)
          var expected = [Float](repeating: 0.5, count: inputRows * given.rows)
          pith_multiply_integer_reference(
            rows, 0, given.rows, x, inputRows, given.columns, &expected, given.rows)
          forEachTarget { target in
            var found = [Float](repeating: 0.5, count: inputRows * given.rows)
            pith_multiply_integer(
              rows, 0, given.rows, x, inputRows, given.columns, &found, given.rows)
            let bound = 1e-5 * Float(given.columns).squareRoot() * 4
            for (a, b) in zip(found, expected) {
              #expect(abs(a - b) <= bound, "\(given), \(inputRows) rows, on \(target)")
            }
          }
        }
      }
    }
  }
}
