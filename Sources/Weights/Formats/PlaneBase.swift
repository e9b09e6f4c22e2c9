import Kernels
import Tensors

/// Binary-coded weights: of every group a sum of planes of ±1, each with a scale of its own.
///
/// - codes: u8, rows × ⌈columns · planes / 8⌉, `lsb_first_rows`; bit k of a code is plane k's sign,
///   1 for +1.
/// - scales: f16, bf16 or f32, rows × (groups · planes), the planes of a group side by side; a
///   scale of 0 is a plane that adds nothing.
///
/// A code c stands for Σ_k ±α_k: 2^planes levels, not evenly spaced, symmetric about 0.
public struct PlaneBase: Sendable {
  public let scheme: PlaneScheme
  public let rows: Int
  public let columns: Int
  public var codes: Tensor
  public var scales: Tensor

  public init(scheme: PlaneScheme, rows: Int, columns: Int, codes: Tensor, scales: Tensor) {
    self.scheme = scheme
    self.rows = rows
    self.columns = columns
    self.codes = codes
    self.scales = scales
  }

  /// Inputs that share scales.
  public var groupLength: Int { scheme.groupLength(columns: columns) }

  /// Groups of a row.
  public var groups: Int { columns / max(groupLength, 1) }

  var payloads: [Tensor] { [codes, scales] }

  /// One row's codes, one a byte.
  public func unpackedCodes(row: Int) -> [UInt8] {
    let stride = PackedCodes.bytes(count: columns, bits: scheme.planes)
    return codes.bytes.withBuffer {
      PackedCodes.unpack(
        Array($0[row * stride..<(row + 1) * stride]), count: columns, bits: scheme.planes)
    }
  }

  /// What the 2^planes codes of some scales stand for, by code.
  static func levels(_ scales: ArraySlice<Float>) -> [Float] {
    (0..<1 << scales.count).map { code in
      scales.enumerated().reduce(Float(0)) { sum, plane in
        code >> plane.offset & 1 == 1 ? sum + plane.element : sum - plane.element
      }
    }
  }

  /// Decodes some rows to `target`, which has room for `range.count × columns`.
  func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    let (planes, length, groups) = (scheme.planes, groupLength, groups)
    let all = scales.floats()
    for (index, row) in range.enumerated() {
      let codes = unpackedCodes(row: row)
      for group in 0..<groups {
        let first = (row * groups + group) * planes
        let levels = Self.levels(all[first..<first + planes])
        for column in group * length..<(group + 1) * length {
          target[index * columns + column] = levels[Int(codes[column])]
        }
      }
    }
  }

  /// The same codes with other scales, stored ones already, rows × (groups · planes).
  public func with(scales values: [Float]) -> PlaneBase {
    var result = self
    result.scales = .encoded(values, as: scheme.scaleType, shape: scales.shape)
    return result
  }

  /// The same scales with other codes, rows × columns, one a byte.
  func with(codes values: [UInt8]) -> PlaneBase {
    var result = self
    result.codes = Tensor(
      dtype: .u8, shape: codes.shape,
      array: (0..<rows).flatMap {
        PackedCodes.pack(
          Array(values[$0 * columns..<($0 + 1) * columns]), bits: scheme.planes)
      })
    return result
  }
}

extension PlaneBase {
  func encodedParts(path: String) -> [EncodedWeight.Part] {
    typealias Name = EncodedWeight.Name
    var attributes: [String: AttributeValue] = [
      Name.planes: .int(scheme.planes), Name.columns: .int(columns),
      Name.packing: .string(EncodedWeight.packing),
    ]
    attributes.merge(Base.attributes(of: scheme.granularity)) { $1 }
    return [
      .init(path: path + "/planes", tensor: codes, attributes: attributes),
      .init(path: path + "/scales", tensor: scales),
    ]
  }

  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    let name = part + "/planes"
    guard self.rows == rows, self.columns == columns else {
      throw .shape(part: name, expected: [rows, columns], found: [self.rows, self.columns])
    }
    guard groupLength > 0, columns % groupLength == 0 else {
      throw .groupDoesNotDivide(group: groupLength, columns: columns)
    }
    let bytes = PackedCodes.bytes(count: columns, bits: scheme.planes)
    try codes.check(part: name, types: [.u8], shape: [rows, bytes])
    if let row = PackedCodes.firstDirtyPadding(
      codes.bytes.buffer, rows: rows, count: columns, bits: scheme.planes)
    {
      throw .paddingNotZero(part: name, row: row)
    }
    try scales.check(
      part: part + "/scales", types: [scheme.scaleType],
      shape: [rows, groups * scheme.planes])
    let room = Float.greatestFiniteMagnitude / Float(scheme.planes)
    for (index, scale) in scales.floats().enumerated() {
      guard scale >= 0, scale <= room else {
        throw .scaleNotUsable(part: part + "/scales", index: index, value: scale)
      }
    }
  }
}
