import LinearAlgebra

/// A precision that the sweep runs in.
protocol SweepScalar: BLASScalar {
  /// 1.5 · 2^m with m bits of significand: adding and taking it away rounds half to even.
  ///
  /// Baseline x86-64 has no instruction for it, and a library call per weight costs more than the
  /// rest of the column.
  static var rounder: Self { get }
  /// A whole number from 0 to 255 as a byte.
  static func byte(_ value: Self) -> UInt8
}

extension Float: SweepScalar {
  static var rounder: Float { 0x1.8p23 }
  @inline(__always) static func byte(_ value: Float) -> UInt8 {
    UInt8(truncatingIfNeeded: (value + rounder).bitPattern)
  }
}

extension Double: SweepScalar {
  static var rounder: Double { 0x1.8p52 }
  @inline(__always) static func byte(_ value: Double) -> UInt8 {
    UInt8(truncatingIfNeeded: (value + rounder).bitPattern)
  }
}
