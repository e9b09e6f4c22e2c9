import Kernels
import Tensors

/// The grids of a weight, by which a sweep over columns quantizes one value after another on any
/// format, scales being fixed.
///
/// (1) `value(of: code(of: x))` is the nearest value that the base could hold at that place;
/// (2) `base(codes:)` decodes to those values, bit for bit.
public struct ColumnGrids: Sendable {
  private enum Kind: Sendable {
    case table(TableBase)
    case blocks(BlockBase)
    case mixed(MixedBase)
    case planes(PlaneBase)
  }

  public let rows: Int
  public let columns: Int
  /// Inputs that share a scale.
  public let groupLength: Int
  private let kind: Kind
  private let table: CodeTable?
  /// Of a mixed base, for each group: its table, nil for integers, and their largest code.
  private let tables: [CodeTable?]
  private let tops: [Float]
  /// rows × groups: what a code (or its table's value) is multiplied by, and what is taken off.
  private let steps: [Float]
  private let offsets: [Float]
  /// Of blocks: the smallest code, which is 0 here, and the largest.
  private let low: Float
  private let high: Float
  /// Of planes, for each row's group: the levels in order, and by code.
  private let fits: [PlaneFit]
  private let levels: [Float]

  public init(_ base: TableBase) {
    rows = base.rows
    columns = base.columns
    groupLength = max(base.grid.groupLength(columns: base.columns), 1)
    kind = .table(base)
    table = base.table
    let scales = base.scaleValues()
    steps =
      base.grid.granularity == .tensor
      ? Array(repeating: scales.first ?? 1, count: base.rows) : scales
    offsets = []
    (low, high) = (0, 0)
    (tables, tops) = ([], [])
    (fits, levels) = ([], [])
  }

  public init(_ base: BlockBase) {
    let format = base.format
    rows = base.rows
    columns = base.columns
    groupLength = format.subLength
    kind = .blocks(base)
    table = nil
    var steps: [Float] = []
    var offsets: [Float] = []
    for row in 0..<base.rows {
      for index in 0..<base.blocksPerRow {
        let block = base.block(row: row, index: index)
        for (scale, minimum) in zip(block.scales, block.minima) {
          steps.append(block.d * Float(scale))
          offsets.append(block.minimum * Float(minimum))
        }
      }
    }
    self.steps = steps
    self.offsets = offsets
    (low, high) = (Float(format.codes.lowerBound), Float(format.codes.upperBound))
    (tables, tops) = ([], [])
    (fits, levels) = ([], [])
  }

  public init(_ base: MixedBase) {
    rows = base.rows
    columns = base.columns
    groupLength = base.group
    kind = .mixed(base)
    table = nil
    (low, high) = (0, 0)
    let total = base.columns / base.group
    var tables = [CodeTable?](repeating: nil, count: total)
    var tops = [Float](repeating: 0, count: total)
    var offsets = [Float](repeating: 0, count: base.rows * total)
    for (part, groups) in zip(base.classes, base.groups) {
      for (place, index) in groups.enumerated() {
        switch part {
        case .table(let own): tables[index] = own.table
        case .integer(let own):
          tops[index] = Float((1 << own.grid.bits) - 1)
          for row in 0..<base.rows {
            offsets[row * total + index] = Float(own.point(row, place * base.group).zero)
          }
        case .dense, .sparse, .blocks, .mixed, .planes: preconditionFailure("a class without codes")
        }
      }
    }
    steps = base.scaleValues()
    (self.tables, self.tops, self.offsets) = (tables, tops, offsets)
    (fits, levels) = ([], [])
  }

  public init(_ base: PlaneBase) {
    rows = base.rows
    columns = base.columns
    groupLength = max(base.groupLength, 1)
    kind = .planes(base)
    table = nil
    (low, high) = (0, 0)
    (tables, tops, steps, offsets) = ([], [], [], [])
    let (scales, planes) = (base.scales.floats(), base.scheme.planes)
    let starts = stride(from: 0, to: scales.count, by: planes)
    fits = starts.map { PlaneFit(scales: Array(scales[$0..<$0 + planes])) }
    levels = starts.flatMap { PlaneBase.levels(scales[$0..<$0 + planes]) }
  }

  private func place(_ row: Int, _ column: Int) -> Int {
    row * (columns / groupLength) + column / groupLength
  }

  private func table(_ column: Int) -> CodeTable? {
    tables.isEmpty ? table : tables[column / groupLength]
  }

  /// The code of the nearest value at a place.
  public func code(of value: Float, row: Int, column: Int) -> UInt8 {
    let place = place(row, column)
    if !fits.isEmpty { return fits[place].code(of: value) }
    let step = steps[place]
    if let table = table(column) { return table.code(of: value / step) }
    if !tops.isEmpty {
      let code = (value / step).rounded(.toNearestOrEven) + offsets[place]
      return UInt8(code > 0 ? min(code, tops[column / groupLength]) : 0)
    }
    guard step != 0 else { return UInt8(-low) }
    let code = ((value + offsets[place]) / step).rounded(.toNearestOrEven)
    // Written so that a NaN becomes the smallest code.
    return UInt8((code > low ? min(code, high) : low) - low)
  }

  /// The value of a code at a place.
  public func value(of code: UInt8, row: Int, column: Int) -> Float {
    let place = place(row, column)
    if !fits.isEmpty { return levels[place * (levels.count / fits.count) + Int(code)] }
    if let table = table(column) { return table.value(of: code) * steps[place] }
    if !tops.isEmpty { return (Float(code) - offsets[place]) * steps[place] }
    return steps[place] * (Float(code) + low) - offsets[place]
  }

  /// The codes of a base on these grids, one a byte.
  public func codes() -> [UInt8] {
    switch kind {
    case .table(let base): return (0..<rows).flatMap { base.unpackedCodes(row: $0) }
    case .planes(let base): return (0..<rows).flatMap { base.unpackedCodes(row: $0) }
    case .mixed: preconditionFailure("a mixed base's codes are not asked for")
    case .blocks(let base):
      var result: [UInt8] = []
      result.reserveCapacity(rows * columns)
      for row in 0..<rows {
        for index in 0..<base.blocksPerRow {
          result += base.block(row: row, index: index).codes.map {
            UInt8($0 - base.format.codes.lowerBound)
          }
        }
      }
      return result
    }
  }

  /// The base with the same grids and other codes, `rows × columns`, one a byte.
  public func base(codes: [UInt8]) -> Base {
    precondition(codes.count == rows * columns, "\(codes.count) codes")
    switch kind {
    case .table(let base): return .table(base.with(codes: codes))
    case .mixed(let base): return .mixed(base.with(codes: codes))
    case .planes(let base): return .planes(base.with(codes: codes))
    case .blocks(var base):
      let format = base.format
      var bytes: [UInt8] = []
      bytes.reserveCapacity(base.blocks.bytes.count)
      for row in 0..<rows {
        for index in 0..<base.blocksPerRow {
          var block = base.block(row: row, index: index)
          let start = row * columns + index * format.length
          block.codes = codes[start..<start + format.length].map {
            Int($0) + format.codes.lowerBound
          }
          bytes += block.bytes(format: format)
        }
      }
      base.blocks = Tensor(dtype: .u8, shape: base.blocks.shape, array: bytes)
      return .blocks(base)
    }
  }
}

extension TableBase {
  /// The same scales with other codes, `rows × columns`, one a byte.
  func with(codes: [UInt8]) -> TableBase {
    let stride = grid.codeBytes(columns: columns)
    var packed = [UInt8](repeating: 0, count: rows * stride)
    packed.withUnsafeMutableBufferPointer { target in
      codes.withUnsafeBufferPointer { source in
        guard let to = target.baseAddress else { return }
        for row in 0..<rows {
          grid.packing.pack(
            UnsafeBufferPointer(rebasing: source[row * columns..<(row + 1) * columns]),
            bits: grid.format.bits, into: to + row * stride)
        }
      }
    }
    return TableBase(
      grid: grid, rows: rows, columns: columns,
      codes: Tensor(dtype: .u8, shape: [rows, stride], array: packed), scales: scales,
      factors: factors, offset: offset)
  }

  /// What becomes of a scale where it is stored by itself; nil of formats that store all scales
  /// together.
  public var scaleRounding: (@Sendable (Float) -> Float)? {
    guard let store else { return nil }
    let largest = table.largest
    return { store.stored($0, largest: largest) }
  }

  /// The same codes with other scales, stored ones already.
  public func with(scales values: [Float]) -> TableBase {
    guard let store else { return self }
    var bytes = [UInt8](repeating: 0, count: scales.bytes.count)
    bytes.withUnsafeMutableBytes { if let to = $0.baseAddress { store.write(values, to: to) } }
    var result = self
    if let tensor = try? Tensor(dtype: scales.dtype, shape: scales.shape, bytes: Bytes(bytes)) {
      result.scales = tensor
    }
    return result
  }

  private var store: ScaleStore? {
    switch grid.scaleFormat {
    case .ratio, .dynamic8: nil
    case .e4m3: ScaleStore(.e4m3, factor: factors?.floats().first ?? 1)
    default: ScaleStore(grid.scaleFormat)
    }
  }
}
