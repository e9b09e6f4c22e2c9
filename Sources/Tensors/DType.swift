/// An element type, as checkpoints and artefacts name it.
///
/// `bf16` and the 8-bit floats have no native HDF5 type: there they are unsigned integers with a
/// `dtype` attribute (docs/artefact-format.md).
public enum DType: String, CaseIterable, Sendable, Hashable, Codable {
  case f64, f32, f16, bf16
  case f8e4m3, f8e5m2
  case i64, i32, i16, i8
  case u64, u32, u16, u8
  case bool

  /// The size of one element in bytes.
  public var bytes: Int {
    switch self {
    case .f64, .i64, .u64: 8
    case .f32, .i32, .u32: 4
    case .f16, .bf16, .i16, .u16: 2
    case .f8e4m3, .f8e5m2, .i8, .u8, .bool: 1
    }
  }

  /// Whether the elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2: true
    default: false
    }
  }
}
