/// A value of GGUF's metadata.
public enum GGUFValue: Sendable, Hashable {
  case u8(UInt8), i8(Int8), u16(UInt16), i16(Int16), u32(UInt32), i32(Int32)
  case f32(Float), bool(Bool), string(String)
  case u64(UInt64), i64(Int64), f64(Double)
  /// Values of one type, whose number stands in the file even when there are none.
  case array(type: UInt32, [GGUFValue])

  /// Texts as an array.
  public static func strings(_ values: [String]) -> GGUFValue {
    .array(type: 8, values.map { .string($0) })
  }

  /// Whole numbers as an array of 32 bits.
  public static func integers(_ values: [Int32]) -> GGUFValue {
    .array(type: 5, values.map { .i32($0) })
  }

  /// ggml's number of the value's type.
  var type: UInt32 {
    switch self {
    case .u8: 0
    case .i8: 1
    case .u16: 2
    case .i16: 3
    case .u32: 4
    case .i32: 5
    case .f32: 6
    case .bool: 7
    case .string: 8
    case .array: 9
    case .u64: 10
    case .i64: 11
    case .f64: 12
    }
  }

  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var array: [GGUFValue]? { if case .array(_, let values) = self { values } else { nil } }

  /// A whole number of any width.
  public var int: Int? {
    switch self {
    case .u8(let value): Int(value)
    case .i8(let value): Int(value)
    case .u16(let value): Int(value)
    case .i16(let value): Int(value)
    case .u32(let value): Int(value)
    case .i32(let value): Int(value)
    case .u64(let value): Int(exactly: value)
    case .i64(let value): Int(exactly: value)
    default: nil
    }
  }

  /// A number of any kind.
  public var double: Double? {
    switch self {
    case .f32(let value): Double(value)
    case .f64(let value): value
    default: int.map(Double.init)
    }
  }
}
