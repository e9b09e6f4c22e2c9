import Kernels

extension FloatConversion {
  /// The index of the first NaN or infinity among little-endian elements; nil when there is none,
  /// and for types that have neither.
  public static func firstNonFinite(_ bytes: UnsafeRawBufferPointer, as dtype: DType) -> Int? {
    guard let start = bytes.baseAddress else { return nil }
    let count = bytes.count / dtype.bytes
    switch dtype {
    case .f32:
      let index = pith_first_nonfinite(start.assumingMemoryBound(to: Float.self), count)
      return index < 0 ? nil : Int(index)
    case .f64: return first(bytes, count) { (bits: UInt64) in bits >> 52 & 0x7FF == 0x7FF }
    case .f16: return first(bytes, count) { (bits: UInt16) in bits >> 10 & 0x1F == 0x1F }
    case .bf16: return first(bytes, count) { (bits: UInt16) in bits >> 7 & 0xFF == 0xFF }
    case .f8e4m3: return first(bytes, count) { (bits: UInt8) in bits & 0x7F == 0x7F }
    case .f8e5m2: return first(bytes, count) { (bits: UInt8) in bits >> 2 & 0x1F == 0x1F }
    default: return nil
    }
  }

  private static func first<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, _ count: Int, _ isNonFinite: (Bits) -> Bool
  ) -> Int? {
    (0..<count).first {
      isNonFinite(
        bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Bits>.size, as: Bits.self))
    }
  }
}
