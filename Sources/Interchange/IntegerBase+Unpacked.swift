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
    UnpackedIntegers(
      rows: rows, columns: columns, bits: grid.bits, group: grid.reach(columns: columns),
      codes: Self.unpack(codes.bytes, rows: rows, count: columns, bits: grid.bits),
      scales: unpackedScales(), zeros: unpackedZeros())
  }

  /// Scales, `rows × groups`; a tensor's one for every row.
  func unpackedScales() -> [Float] {
    let stored = scales.floats()
    return grid.granularity == .tensor
      ? Array(repeating: stored.first ?? 1, count: rows) : stored
  }

  /// Zero points, `rows × groups`; 2^(bits−1) everywhere when symmetric, a tensor's one for every row.
  func unpackedZeros() -> [UInt8] {
    let groups = columns / max(grid.reach(columns: columns), 1)
    guard let zeros else {
      return Array(repeating: UInt8(1 << (grid.bits - 1)), count: groups * rows)
    }
    guard grid.granularity == .tensor else {
      return Self.unpack(zeros.bytes, rows: rows, count: groups, bits: grid.bits)
    }
    let point = Self.unpack(zeros.bytes, rows: 1, count: 1, bits: grid.bits)
    return Array(repeating: point.first ?? 0, count: rows)
  }

  private static func unpack(_ bytes: Bytes, rows: Int, count: Int, bits: Int) -> [UInt8] {
    if bits == 8 { return bytes.array(of: UInt8.self) }
    let stride = PackedCodes.bytes(count: count, bits: bits)
    return Array(unsafeUninitializedCapacity: rows * count) { target, initialized in
      bytes.withBuffer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        for row in 0..<rows {
          PackedCodes.unpack(
            from + row * stride, count: count, bits: bits,
            into: UnsafeMutableRawPointer(to + row * count))
        }
        initialized = rows * count
      }
    }
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
