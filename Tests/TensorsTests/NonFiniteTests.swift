import Tensors
import Testing

@Suite("The search for NaN and infinity in raw elements")
struct NonFiniteTests {
  @Test("Every pattern of the 16-bit types is judged as its value is")
  func halves() {
    for bits in UInt16.min...UInt16.max {
      withUnsafeBytes(of: bits) { bytes in
        let isFinite16 = FloatConversion.float16(bits).isFinite
        #expect((FloatConversion.firstNonFinite(bytes, as: .f16) == nil) == isFinite16)
        let isFiniteB16 = FloatConversion.bfloat16(bits).isFinite
        #expect((FloatConversion.firstNonFinite(bytes, as: .bf16) == nil) == isFiniteB16)
      }
    }
  }

  @Test("The first of several is found, in every floating-point type")
  func position() {
    var singles = [Float](repeating: 1, count: 100)
    singles[37] = .infinity
    singles[60] = .nan
    singles.withUnsafeBytes { #expect(FloatConversion.firstNonFinite($0, as: .f32) == 37) }
    var doubles = [Double](repeating: .greatestFiniteMagnitude, count: 9)
    doubles.withUnsafeBytes { #expect(FloatConversion.firstNonFinite($0, as: .f64) == nil) }
    doubles[8] = -.infinity
    doubles.withUnsafeBytes { #expect(FloatConversion.firstNonFinite($0, as: .f64) == 8) }
    // Integers have neither, whatever their bits.
    doubles.withUnsafeBytes { #expect(FloatConversion.firstNonFinite($0, as: .i64) == nil) }
    let small: [UInt8] = [0x7E, 0xFE, 0x7F]
    small.withUnsafeBytes { #expect(FloatConversion.firstNonFinite($0, as: .f8e4m3) == 2) }
    let wide: [UInt8] = [0x7B, 0x7C]
    wide.withUnsafeBytes { #expect(FloatConversion.firstNonFinite($0, as: .f8e5m2) == 1) }
  }
}
