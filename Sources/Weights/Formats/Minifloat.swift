/// A small floating-point format: a sign, exponent bits, mantissa bits.
///
/// value = ±2^(E − bias)·(1 + M/2^m) for E > 0 and ±2^(1 − bias)·M/2^m for E = 0. A code is the
/// sign, the exponent and the mantissa, the sign the highest bit.
public struct Minifloat: Sendable, Hashable {
  /// What the largest codes stand for.
  public enum Specials: String, Sendable, Hashable, CaseIterable {
    /// Every code is a number.
    case none
    /// Only the code of all ones is no number: OCP's E4M3.
    case finite
    /// The top exponent holds infinity and NaN: OCP's E5M2.
    case ieee
  }

  public let exponentBits: Int
  public let mantissaBits: Int
  public let bias: Int
  public let specials: Specials

  /// A checked format of 3 to 8 bits.
  ///
  /// - Throws: `WeightsError.formatUnknown`.
  public init(
    exponentBits: Int, mantissaBits: Int, bias: Int? = nil, specials: Specials? = nil
  ) throws(WeightsError) {
    let name = "e\(exponentBits)m\(mantissaBits)"
    let bits = 1 + exponentBits + mantissaBits
    guard (1...6).contains(exponentBits), (0...6).contains(mantissaBits), (3...8).contains(bits)
    else { throw .formatUnknown(name) }
    self.init(
      unchecked: exponentBits, mantissaBits, bias: bias ?? (1 << (exponentBits - 1)) - 1,
      specials: specials ?? Self.usualSpecials(exponentBits, mantissaBits))
    // Values, and their products with usual scales, stay in the normal range of f32.
    guard (-64...64).contains(self.bias), numberOfMagnitudes >= 2 else {
      throw .formatUnknown(name)
    }
  }

  private init(unchecked exponentBits: Int, _ mantissaBits: Int, bias: Int, specials: Specials) {
    self.exponentBits = exponentBits
    self.mantissaBits = mantissaBits
    self.bias = bias
    self.specials = specials
  }

  /// 8-bit formats follow OCP; smaller ones have no specials.
  private static func usualSpecials(_ exponentBits: Int, _ mantissaBits: Int) -> Specials {
    switch (exponentBits, mantissaBits) {
    case (4, 3): .finite
    case (5, 2): .ieee
    default: .none
    }
  }

  /// OCP E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6.
  public static let e2m1 = Minifloat(unchecked: 2, 1, bias: 1, specials: .none)
  /// OCP E2M3, up to 7.5.
  public static let e2m3 = Minifloat(unchecked: 2, 3, bias: 1, specials: .none)
  /// OCP E3M2, up to 28.
  public static let e3m2 = Minifloat(unchecked: 3, 2, bias: 3, specials: .none)
  /// OCP E4M3, up to 448, no infinity.
  public static let e4m3 = Minifloat(unchecked: 4, 3, bias: 7, specials: .finite)
  /// OCP E5M2, up to 57344.
  public static let e5m2 = Minifloat(unchecked: 5, 2, bias: 15, specials: .ieee)

  /// 3 to 8.
  public var bits: Int { 1 + exponentBits + mantissaBits }

  /// How many magnitudes there are, zero among them.
  var numberOfMagnitudes: Int {
    let all = 1 << (exponentBits + mantissaBits)
    return switch specials {
    case .none: all
    case .finite: all - 1
    case .ieee: all - (1 << mantissaBits)
    }
  }

  /// The value of a code without its sign, 0 to `numberOfMagnitudes` − 1.
  public func magnitude(_ code: Int) -> Float {
    let mantissa = Float(code & ((1 << mantissaBits) - 1))
    let exponent = code >> mantissaBits
    let unit = Float(sign: .plus, exponent: max(exponent, 1) - bias - mantissaBits, significand: 1)
    return (mantissa + (exponent > 0 ? Float(1 << mantissaBits) : 0)) * unit
  }

  /// The largest value.
  public var maximum: Float { magnitude(numberOfMagnitudes - 1) }
}
