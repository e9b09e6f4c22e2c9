import Foundation

/// What a code stands for, before its scale: at most 256 values.
public enum NumberFormat: Sendable, Hashable {
  case minifloat(Minifloat)
  /// The 16 quantiles of QLoRA's 4-bit NormalFloat (Dettmers and others 2023), from −1 to 1.
  case normalFloat4
  /// bitsandbytes' FP4: ±{0, 1/192, 1/6, 1/4, 1/3, 1/2, 2/3, 1}. Not E2M1.
  case bitsandbytesFloat4
  /// −1, 0, 1 (BitNet b1.58).
  case ternary
  /// sign(q)·(|q|/n)^(1/exponent), n = 2^(bits−1) − 1 (PowerQuant); an exponent of 1 is uniform.
  case power(bits: Int, exponent: Float)
  /// 8-bit two's complement in units of 1/64: MXINT8's elements. −2 is read but never chosen.
  case fixedPoint8

  /// The bits of a code.
  public var bits: Int {
    switch self {
    case .minifloat(let format): format.bits
    case .normalFloat4, .bitsandbytesFloat4: 4
    case .ternary: 2
    case .power(let bits, _): bits
    case .fixedPoint8: 8
    }
  }

  /// The name in files, without the exponent of `power`.
  public var name: String {
    switch self {
    case .minifloat(let format): "e\(format.exponentBits)m\(format.mantissaBits)"
    case .normalFloat4: "nf4"
    case .bitsandbytesFloat4: "fp4"
    case .ternary: "ternary"
    case .power(let bits, _): "power\(bits)"
    case .fixedPoint8: "fixed8"
    }
  }

  /// The format of a name.
  ///
  /// - Throws: `WeightsError.formatUnknown`.
  public init(name: String, exponent: Float? = nil) throws(WeightsError) {
    switch name {
    case "nf4": self = .normalFloat4
    case "fp4": self = .bitsandbytesFloat4
    case "ternary": self = .ternary
    case "fixed8": self = .fixedPoint8
    default:
      if name.hasPrefix("power"), let bits = Int(name.dropFirst(5)), (2...8).contains(bits),
        name == "power\(bits)"
      {
        let exponent = exponent ?? Self.usualExponent
        guard Self.exponents.contains(exponent) else { throw .formatUnknown(name) }
        self = .power(bits: bits, exponent: exponent)
        return
      }
      let digits = name.utf8.map { Int($0) - 48 }
      guard digits.count == 4, name.first == "e", Array(name.utf8)[2] == UInt8(ascii: "m"),
        (0...9).contains(digits[1]), (0...9).contains(digits[3])
      else { throw .formatUnknown(name) }
      self = .minifloat(try Minifloat(exponentBits: digits[1], mantissaBits: digits[3]))
    }
  }

  /// Exponents that `power` takes.
  public static let exponents: ClosedRange<Float> = 0.2...1.2
  /// The best exponent for normally distributed weights (measured on N(0, 1)).
  public static let usualExponent: Float = 0.75

  /// The values of the codes.
  public var table: CodeTable {
    switch self {
    case .minifloat(let format): .minifloat(format)
    case .normalFloat4: .normalFloat4
    case .bitsandbytesFloat4: .bitsandbytesFloat4
    case .ternary:
      CodeTable(bits: 2, entries: [(0, 0), (1, 1), (2, -1)], ties: .towardZero)
    case .power(let bits, let exponent): .power(bits: bits, exponent: exponent)
    case .fixedPoint8:
      CodeTable(
        bits: 8, entries: (-127...127).map { (UInt8(bitPattern: Int8($0)), Float($0) / 64) },
        extra: [(0x80, -2)], ties: .evenCode)
    }
  }
}
