import Tensors
import Testing

@Suite("Half and brain floats")
struct FloatConversionTests {
  /// The value of a binary16 pattern by its definition, in f64.
  private func defined(_ bits: UInt16) -> Double {
    let exponent = Int(bits >> 10) & 31
    let fraction = Double(bits & 1023)
    let sign: Double = bits & 0x8000 == 0 ? 1 : -1
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default:
      return sign * (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
    }
  }

  private func decodedInBulk(_ patterns: [UInt16], _ dtype: DType) -> [Float] {
    Tensor(dtype: dtype, shape: [patterns.count], array: patterns).floats()
  }

  private func encodedInBulk(_ values: [Float], _ dtype: DType) throws -> [UInt16] {
    var result = [UInt16](repeating: 0, count: values.count)
    try values.withUnsafeBufferPointer { source in
      try result.withUnsafeMutableBytes { try FloatConversion.encode(source, as: dtype, into: $0) }
    }
    return result
  }

  private let every = Array(UInt16.min...UInt16.max)

  @Test("(1, 2) All 65,536 binary16 patterns: exact, and back to themselves, plain and in bulk")
  func allHalf() throws {
    let bulk = decodedInBulk(every, .f16)
    let back = try encodedInBulk(bulk, .f16)
    var wrong = 0
    for bits in every {
      let value = FloatConversion.float16(bits)
      let expected = defined(bits)
      let same = expected.isNaN ? value.isNaN : Double(value).bitPattern == expected.bitPattern
      let bulkSame = bulk[Int(bits)].bitPattern == value.bitPattern
      // A signalling NaN comes back quiet; everything else unchanged.
      let quiet = expected.isNaN ? bits | 0x0200 : bits
      if !same || !bulkSame || FloatConversion.float16Bits(value) != quiet
        || back[Int(bits)] != quiet
      {
        wrong += 1
      }
    }
    #expect(wrong == 0)
  }

  @Test("(1, 2) All 65,536 bfloat16 patterns: the upper half of an f32, and back")
  func allBrain() throws {
    let bulk = decodedInBulk(every, .bf16)
    let back = try encodedInBulk(bulk, .bf16)
    var wrong = 0
    for bits in every {
      let value = FloatConversion.bfloat16(bits)
      let quiet = value.isNaN ? bits | 0x0040 : bits
      if value.bitPattern != UInt32(bits) << 16 || bulk[Int(bits)].bitPattern != value.bitPattern
        || FloatConversion.bfloat16Bits(value) != quiet || back[Int(bits)] != quiet
      {
        wrong += 1
      }
    }
    #expect(wrong == 0)
  }

  @Test(
    "(3) Between every two neighbours the midpoint goes to the even one",
    arguments: [DType.f16, .bf16])
  func midpoints(_ dtype: DType) throws {
    let half = dtype == .f16
    let last: UInt16 = half ? 0x7BFF : 0x7F7F
    var inputs: [Float] = []
    var expected: [UInt16] = []
    for lower in UInt16(0)...last {
      let middle: Float
      if half {
        let next = lower == last ? 65536 : defined(lower + 1)
        middle = Float((defined(lower) + next) / 2)
      } else {
        middle = Float(bitPattern: UInt32(lower) << 16 | 0x8000)
      }
      let even = lower & 1 == 0 ? lower : lower + 1
      for (value, bits) in [(middle.nextDown, lower), (middle, even), (middle.nextUp, lower + 1)] {
        inputs += [value, -value]
        expected += [bits, bits | 0x8000]
      }
    }
    let plain = inputs.map(half ? FloatConversion.float16Bits : FloatConversion.bfloat16Bits)
    #expect(plain == expected)
    #expect(try encodedInBulk(inputs, dtype) == expected)
  }

  @Test("(4) Overflow begins at 65520, NaN stays NaN")
  func overflow() throws {
    let values: [Float] = [
      65504, Float(65520).nextDown, 65520, 65536, .greatestFiniteMagnitude, .infinity, -65520, .nan,
    ]
    let expected: [UInt16] = [
      0x7BFF, 0x7BFF, 0x7C00, 0x7C00, 0x7C00, 0x7C00, 0xFC00, 0x7E00,
    ]
    #expect(values.map(FloatConversion.float16Bits) == expected)
    #expect(try encodedInBulk(values, .f16) == expected)
    #expect(FloatConversion.bfloat16Bits(.greatestFiniteMagnitude) == 0x7F80)
    // A NaN whose payload lies in the lower half must not become an infinity.
    let low = Float(bitPattern: 0x7F80_0001)
    #expect(FloatConversion.float16(FloatConversion.float16Bits(low)).isNaN)
    #expect(FloatConversion.bfloat16(FloatConversion.bfloat16Bits(low)).isNaN)
  }

  @Test("Bulk equals plain on f32 patterns of every kind, at every length and alignment")
  func sweep() throws {
    var patterns: [Float] = []
    var bits: UInt32 = 0
    for _ in 0..<200_000 {
      patterns.append(Float(bitPattern: bits))
      bits &+= 21_493 &* 2 + 1
    }
    #expect(
      try encodedInBulk(patterns, .f16) == patterns.map(FloatConversion.float16Bits))
    #expect(
      try encodedInBulk(patterns, .bf16) == patterns.map(FloatConversion.bfloat16Bits))
    for count in 0..<70 {
      let part = Array(patterns[1000..<1000 + count])
      #expect(try encodedInBulk(part, .f16) == part.map(FloatConversion.float16Bits))
      let halves = Array(every[5000..<5000 + count])
      #expect(decodedInBulk(halves, .f16) == halves.map(FloatConversion.float16))
    }
    // Odd addresses: tensors in files need not be aligned.
    let bytes: [UInt8] = [0xAA, 0x00, 0x3C, 0x00, 0xC0, 0xFF, 0x7B]
    var target = [Float](repeating: 0, count: 3)
    bytes.withUnsafeBytes { source in
      target.withUnsafeMutableBufferPointer {
        FloatConversion.decode(UnsafeRawBufferPointer(rebasing: source[1...]), as: .f16, into: $0)
      }
    }
    #expect(target == [1, -2, 65504])
  }
}
