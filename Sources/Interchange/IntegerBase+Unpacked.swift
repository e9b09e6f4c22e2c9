import Tensors
import Weights

/// An integer base's contents one number at a time, for formats that pack them otherwise.
struct UnpackedIntegers: Sendable {
  let rows: Int
  let columns: Int
  let bits: Int
  /// Inputs that share a scale.
  let group: Int
  /// `rows × columns`, 0...2^bits − 1.
  let codes: [UInt8]
  /// `rows × groups`.
  let scales: [Float]
  /// `rows × groups`; 2^(bits−1) everywhere when symmetric.
  let zeros: [UInt8]

  var groups: Int { columns / group }
}

extension IntegerBase {
  /// Codes, scales and zero points as numbers; a tensor's one scale is repeated for every row.
  func unpacked() -> UnpackedIntegers {
    let group: Int
    switch grid.granularity {
    case .tensor, .channel: group = columns
    case .group(let length): group = length
    }
    let groups = columns / max(group, 1)
    let stored = scales.floats()
    var points: [UInt8]
    if let zeros {
      let rowCount = grid.granularity == .tensor ? 1 : rows
      points = Self.unpack(zeros.bytes, rows: rowCount, count: groups, bits: grid.bits)
    } else {
      points = Array(repeating: UInt8(1 << (grid.bits - 1)), count: groups * rows)
    }
    var scaleValues = stored
    if grid.granularity == .tensor {
      scaleValues = Array(repeating: stored.first ?? 1, count: rows)
      if let point = points.first { points = Array(repeating: point, count: rows) }
    }
    return UnpackedIntegers(
      rows: rows, columns: columns, bits: grid.bits, group: group,
      codes: Self.unpack(codes.bytes, rows: rows, count: columns, bits: grid.bits),
      scales: scaleValues, zeros: points)
  }

  private static func unpack(_ bytes: Bytes, rows: Int, count: Int, bits: Int) -> [UInt8] {
    if bits == 8 { return bytes.array(of: UInt8.self) }
    let stride = PackedCodes.bytes(count: count, bits: bits)
    var result: [UInt8] = []
    result.reserveCapacity(rows * count)
    bytes.withBuffer { buffer in
      for row in 0..<rows {
        let stream = Array(buffer[row * stride..<(row + 1) * stride])
        result += PackedCodes.unpack(stream, count: count, bits: bits)
      }
    }
    return result
  }

  /// A base from numbers, the way back.
  ///
  /// - Parameters:
  ///   - scaleType: the type that holds the scales exactly.
  ///   - numbers: codes, scales and zero points; of `.tensor` one scale and zero point.
  ///   - symmetric: whether every zero point is 2^(bits−1); then none is stored.
  init(_ numbers: UnpackedIntegers, scaleType: DType, symmetric: Bool, granularity: Granularity) {
    let grid = IntegerGrid(
      bits: numbers.bits, symmetric: symmetric, granularity: granularity, scaleType: scaleType)
    let scaleRows = granularity == .tensor ? 1 : numbers.rows
    func packed(_ values: [UInt8], rows: Int, count: Int) -> Tensor {
      var bytes: [UInt8] = []
      for row in 0..<rows {
        bytes += PackedCodes.pack(
          Array(values[row * count..<(row + 1) * count]), bits: numbers.bits)
      }
      return Tensor(
        dtype: .u8, shape: [rows, PackedCodes.bytes(count: count, bits: numbers.bits)],
        array: bytes)
    }
    self.init(
      grid: grid, rows: numbers.rows, columns: numbers.columns,
      codes: packed(numbers.codes, rows: numbers.rows, count: numbers.columns),
      scales: .encoded(
        numbers.scales, as: scaleType, shape: [scaleRows, numbers.groups]),
      zeros: symmetric ? nil : packed(numbers.zeros, rows: scaleRows, count: numbers.groups))
  }
}
