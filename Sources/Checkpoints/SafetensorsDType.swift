import Tensors

/// The element types that safetensors headers name.
enum SafetensorsDType {
  private static let table: [(name: String, dtype: DType)] = [
    ("F64", .f64), ("F32", .f32), ("F16", .f16), ("BF16", .bf16),
    ("F8_E4M3", .f8e4m3), ("F8_E5M2", .f8e5m2),
    ("I64", .i64), ("I32", .i32), ("I16", .i16), ("I8", .i8),
    ("U64", .u64), ("U32", .u32), ("U16", .u16), ("U8", .u8),
    ("BOOL", .bool),
  ]

  /// All names, for messages.
  static let names = table.map(\.name)

  private static let byName = Dictionary(uniqueKeysWithValues: table.map { ($0.name, $0.dtype) })
  private static let byDType = Dictionary(uniqueKeysWithValues: table.map { ($0.dtype, $0.name) })

  /// The type of a name; nil for a name that is not known.
  static func dtype(named name: String) -> DType? { byName[name] }

  /// The name of a type; every type has one.
  static func name(of dtype: DType) -> String {
    guard let name = byDType[dtype] else { preconditionFailure("\(dtype) is not in the table") }
    return name
  }
}
