import Kernels

/// Conversions between f32 and the narrower storage types, ties to even.
///
/// (1) `float16(bits)` and `bfloat16(bits)` are exact for all 65,536 patterns; (2) rounding an
/// exactly representable value gives it back; (3) halfway cases go to the even significand;
/// (4) f16 overflow goes to infinity at 65520, NaN stays NaN (quiet).
public enum FloatConversion {
  /// The value of an IEEE 754 binary16 pattern.
  public static func float16(_ bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = Int32(bits >> 10) & 0x1F
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0:
      // Zero and subnormals: fraction · 2^-24, exact in f32.
      let magnitude = Float(fraction) * 0x1p-24
      return sign == 0 ? magnitude : -magnitude
    case 31:
      // A signalling NaN's payload is kept and made quiet, as hardware does.
      let quiet: UInt32 = fraction == 0 ? 0 : 0x0040_0000
      return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13 | quiet)
    default:
      return Float(bitPattern: sign | UInt32(exponent + 112) << 23 | fraction << 13)
    }
  }

  /// The nearest binary16 pattern, ties to even.
  public static func float16Bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16((bits >> 16) & 0x8000)
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 {
      return sign | 0x7E00 | UInt16((magnitude >> 13) & 0x3FF)
    }
    // 65520 and above round to infinity.
    if magnitude >= 0x477F_F000 { return sign | 0x7C00 }
    if magnitude < 0x3880_0000 {
      // Below 2^-14 the result is subnormal: adding 0.5 in f32 aligns the last bit at 2^-24, so
      // that the addition itself rounds to even.
      let aligned = Float(bitPattern: magnitude) + 0.5
      return sign | UInt16(truncatingIfNeeded: aligned.bitPattern &- 0x3F00_0000)
    }
    let odd = (magnitude >> 13) & 1
    return sign | UInt16(truncatingIfNeeded: (magnitude &- 0x3800_0000 &+ 0xFFF &+ odd) >> 13)
  }

  /// The value of a bfloat16 pattern: the upper half of an f32.
  public static func bfloat16(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// The nearest bfloat16 pattern, ties to even.
  public static func bfloat16Bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if value.isNaN { return UInt16(bits >> 16) | 0x0040 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
  }
}
