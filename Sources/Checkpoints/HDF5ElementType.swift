import CHDF5
import Tensors

/// How an element type is stored in a file.
enum HDF5ElementType {
  /// Whether the type has no HDF5 type that h5py and HDF5 1.10 know, and is stored as unsigned
  /// integers with an attribute `dtype`.
  static func isNamedByAttribute(_ dtype: DType) -> Bool {
    switch dtype {
    case .bf16, .f8e4m3, .f8e5m2, .bool: true
    default: false
    }
  }

  /// A new type identifier for the file; the caller closes it, under the library's lock.
  static func make(_ dtype: DType) -> hid_t {
    let kind =
      switch dtype {
      case .f64, .f32, .f16: UInt8(ascii: "f")
      case .i64, .i32, .i16, .i8: UInt8(ascii: "i")
      default: UInt8(ascii: "u")
      }
    return pith_hdf5_file_type(CChar(kind), Int32(dtype.bytes))
  }
}
