import Kernels

extension FloatConversion {
  /// Decodes little-endian elements of any type to f32.
  ///
  /// Exact for every type but f64 and wide integers, which round to nearest. `target` has exactly
  /// the element count of `source`; another count is a bug of the caller.
  public static func decode(
    _ source: UnsafeRawBufferPointer, as dtype: DType,
    into target: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(source.count == target.count * dtype.bytes, "\(source.count) bytes of \(dtype)")
    guard let from = source.baseAddress, let to = target.baseAddress else { return }
    switch dtype {
    case .f32: memoryCopy(from, to, source.count)
    case .f16: pith_f16_to_f32(from, to, target.count)
    case .bf16: pith_bf16_to_f32(from, to, target.count)
    case .f64: convert(source, target) { (value: Double) in Float(value) }
    case .i64: convert(source, target) { (value: Int64) in Float(value) }
    case .i32: convert(source, target) { (value: Int32) in Float(value) }
    case .i16: convert(source, target) { (value: Int16) in Float(value) }
    case .i8: convert(source, target) { (value: Int8) in Float(value) }
    case .u64: convert(source, target) { (value: UInt64) in Float(value) }
    case .u32: convert(source, target) { (value: UInt32) in Float(value) }
    case .u16: convert(source, target) { (value: UInt16) in Float(value) }
    case .u8: convert(source, target) { (value: UInt8) in Float(value) }
    case .bool: convert(source, target) { (value: UInt8) in value == 0 ? 0 : 1 }
    case .f8e4m3: convert(source, target) { (value: UInt8) in float8E4M3(value) }
    case .f8e5m2: convert(source, target) { (value: UInt8) in float16(UInt16(value) << 8) }
    }
  }

  /// Encodes f32 as another floating-point type, ties to even.
  ///
  /// - Throws: `TensorsError.notConvertible` for integers and 8-bit floats, whose rounding and
  ///   saturation are a number format's choice (room `Weights`), not a conversion.
  public static func encode(
    _ source: UnsafeBufferPointer<Float>, as dtype: DType,
    into target: UnsafeMutableRawBufferPointer
  ) throws(TensorsError) {
    precondition(target.count == source.count * dtype.bytes, "\(target.count) bytes of \(dtype)")
    guard let from = source.baseAddress, let to = target.baseAddress else { return }
    switch dtype {
    case .f32: memoryCopy(from, to, target.count)
    case .f16: pith_f32_to_f16(from, to, source.count)
    case .bf16: pith_f32_to_bf16(from, to, source.count)
    case .f64:
      for (index, value) in source.enumerated() {
        target.storeBytes(of: Double(value), toByteOffset: index * 8, as: Double.self)
      }
    default: throw .notConvertible(from: .f32, to: dtype)
    }
  }

  /// The value of an OCP FP8 E4M3 pattern: bias 7, no infinity, S.1111.111 is NaN.
  public static func float8E4M3(_ bits: UInt8) -> Float {
    let exponent = Int(bits >> 3) & 0xF
    let fraction = Float(bits & 7)
    if bits & 0x7F == 0x7F { return .nan }
    let magnitude =
      exponent == 0
      ? fraction * 0x1p-9
      : (1 + fraction / 8) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
    return bits & 0x80 == 0 ? magnitude : -magnitude
  }

  private static func memoryCopy(
    _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ count: Int
  ) {
    to.copyMemory(from: from, byteCount: count)
  }

  private static func convert<Element: BitwiseCopyable>(
    _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableBufferPointer<Float>,
    _ transform: (Element) -> Float
  ) {
    for index in target.indices {
      target.initializeElement(
        at: index,
        to: transform(
          source.loadUnaligned(
            fromByteOffset: index * MemoryLayout<Element>.size, as: Element.self)))
    }
  }
}
