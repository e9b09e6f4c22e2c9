import Tensors

/// A dataset as libhdf5 described it, before anything is believed.
struct HDF5RawDataset {
  /// The element type's class, by libhdf5's numbers.
  enum ElementClass: UInt64 {
    case integer, float, time, string, bits, opaque, compound, reference, enumeration
    case variableLength, array
  }
  enum Space: UInt64 { case null, scalar, simple }
  enum Layout: UInt64 { case compact, contiguous, chunked, virtual }

  let address: UInt64
  let type: [UInt64]
  let space: Space?
  let extents: [UInt64]
  let layout: Layout?
  let offset: UInt64
  let storedBytes: UInt64
  let externalFiles: UInt64
  let chunk: [UInt64]
  let filters: String

  init(_ cursor: inout HDF5IndexCursor, address: UInt64) throws(HDF5IndexCursor.Ended) {
    self.address = address
    type = try cursor.numbers(12)
    space = Space(rawValue: try cursor.number())
    extents = try cursor.numbers(cursor.count(upTo: 32))
    layout = Layout(rawValue: try cursor.number())
    offset = try cursor.number()
    storedBytes = try cursor.number()
    externalFiles = try cursor.number()
    chunk = try cursor.numbers(cursor.count(upTo: 32))
    filters = try cursor.shownText()
  }

  var elementBytes: UInt64 { type[1] }
  var isBigEndian: Bool { type[2] == 1 && elementBytes > 1 }
  var noOffset: Bool { offset == .max }

  /// The element type, or why the dataset is no tensor.
  var element: Result<DType, NotATensor> {
    guard let elementClass = ElementClass(rawValue: type[0]) else {
      return .failure(NotATensor(reason: "its element type is unknown"))
    }
    guard [.integer, .float, .enumeration].contains(elementClass) else {
      return .failure(NotATensor(reason: "it holds \(Self.noun(elementClass)), not numbers"))
    }
    guard type[2] <= 1 || elementBytes == 1 else {
      return .failure(NotATensor(reason: "its byte order is neither little nor big endian"))
    }
    guard [1, 2, 4, 8].contains(elementBytes), type[5] == elementBytes * 8, type[6] == 0 else {
      return .failure(
        NotATensor(reason: "its numbers take \(type[5]) bits in \(elementBytes) bytes"))
    }
    if elementClass == .float { return float }
    if type[4] == 1 { return .success(.bool) }
    let isSigned = type[3] == 1
    switch elementBytes {
    case 1: return .success(isSigned ? .i8 : .u8)
    case 2: return .success(isSigned ? .i16 : .u16)
    case 4: return .success(isSigned ? .i32 : .u32)
    default: return .success(isSigned ? .i64 : .u64)
    }
  }

  /// Sign position, exponent and mantissa (position, bits), bias and implied leading bit: newer
  /// libraries write bfloat16 and 8-bit floats as types of their own, which these fields tell.
  private var float: Result<DType, NotATensor> {
    let known: [(DType, UInt64, UInt64, UInt64, UInt64)] = [
      (.f64, 63, 52 << 8 | 11, 52, 1023), (.f32, 31, 23 << 8 | 8, 23, 127),
      (.f16, 15, 10 << 8 | 5, 10, 15), (.bf16, 15, 7 << 8 | 8, 7, 127),
      (.f8e4m3, 7, 3 << 8 | 4, 3, 7), (.f8e5m2, 7, 2 << 8 | 5, 2, 15),
    ]
    for (dtype, sign, exponent, mantissa, bias) in known
    where type[7] == sign && type[8] == exponent && type[9] == mantissa && type[10] == bias
      && type[11] == 1
    {
      return .success(dtype)
    }
    return .failure(
      NotATensor(reason: "its floating-point format of \(elementBytes) bytes is none that is known")
    )
  }

  private static func noun(_ elementClass: ElementClass) -> String {
    switch elementClass {
    case .string: "texts"
    case .compound: "records"
    case .variableLength: "lists of varying length"
    case .reference: "references"
    case .opaque, .bits: "bit patterns"
    case .array: "arrays as elements"
    default: "times"
    }
  }
}

/// Why a dataset is listed apart from the tensors.
struct NotATensor: Error {
  let reason: String
}
