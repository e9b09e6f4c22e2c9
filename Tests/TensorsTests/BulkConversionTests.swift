import Tensors
import Testing

@Suite("Conversion between element types")
struct BulkConversionTests {
  @Test("Integers, booleans and doubles become f32")
  func decode() {
    #expect(
      Tensor(dtype: .i8, shape: [3], array: [Int8(-128), 0, 127]).floats() == [-128, 0, 127])
    #expect(Tensor(dtype: .u8, shape: [2], array: [UInt8(0), 255]).floats() == [0, 255])
    #expect(Tensor(dtype: .i16, shape: [1], array: [Int16.min]).floats() == [-32768])
    #expect(Tensor(dtype: .u16, shape: [1], array: [UInt16.max]).floats() == [65535])
    #expect(Tensor(dtype: .i32, shape: [1], array: [Int32.min]).floats() == [-0x1p31])
    #expect(Tensor(dtype: .u32, shape: [1], array: [UInt32.max]).floats() == [0x1p32])
    #expect(Tensor(dtype: .i64, shape: [1], array: [Int64.min]).floats() == [-0x1p63])
    #expect(Tensor(dtype: .u64, shape: [1], array: [UInt64.max]).floats() == [0x1p64])
    #expect(Tensor(dtype: .bool, shape: [3], array: [UInt8(0), 1, 2]).floats() == [0, 1, 1])
    #expect(Tensor(dtype: .f64, shape: [2], array: [0.1, 1e300]).floats() == [0.1, .infinity])
    #expect(Tensor(dtype: .f32, shape: [], array: [Float(2.5)]).floats() == [2.5])
    #expect(Tensor(dtype: .f32, shape: [0, 4], array: [Float]()).floats() == [])
  }

  @Test("The 8-bit floats of the OCP standard")
  func eightBits() {
    func e4m3(_ bits: UInt8) -> Float { FloatConversion.float8E4M3(bits) }
    #expect(e4m3(0x00) == 0 && e4m3(0x80).sign == .minus)
    #expect(e4m3(0x01) == 0x1p-9 && e4m3(0x07) == 0x1.Cp-7 && e4m3(0x08) == 0x1p-6)
    #expect(e4m3(0x38) == 1 && e4m3(0xB8) == -1 && e4m3(0x7E) == 448)
    #expect(e4m3(0x7F).isNaN && e4m3(0xFF).isNaN)
    let bits: [UInt8] = [0x01, 0x3C, 0x7B, 0x7C, 0xFC]
    #expect(
      Tensor(dtype: .f8e5m2, shape: [5], array: bits).floats() == [
        0x1p-16, 1, 57344, .infinity, -.infinity,
      ])
    #expect(Tensor(dtype: .f8e5m2, shape: [1], array: [UInt8(0x7D)]).floats()[0].isNaN)
  }

  @Test("Encoding to f64 is exact, to integers it is refused")
  func encode() throws {
    let values: [Float] = [0.1, -3, .greatestFiniteMagnitude]
    var doubles = [Double](repeating: 0, count: 3)
    try values.withUnsafeBufferPointer { source in
      try doubles.withUnsafeMutableBytes { try FloatConversion.encode(source, as: .f64, into: $0) }
    }
    #expect(doubles == values.map(Double.init))
    for dtype in [DType.i8, .u8, .bool, .f8e4m3, .f8e5m2] {
      var target = [UInt8](repeating: 0, count: 3)
      #expect(throws: TensorsError.notConvertible(from: .f32, to: dtype)) {
        try values.withUnsafeBufferPointer { source in
          try target.withUnsafeMutableBytes {
            try FloatConversion.encode(source, as: dtype, into: $0)
          }
        }
      }
    }
  }
}
