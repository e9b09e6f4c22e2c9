import Tensors

/// Rows of a matrix in the order in which they are wanted.
public enum RowSelection: Sendable {
  case range(Range<Int>)
  case list(ArraySlice<Int>)

  public var count: Int {
    switch self {
    case .range(let range): range.count
    case .list(let rows): rows.count
    }
  }

  /// The rows as runs that lie together.
  public func forEachRun(_ body: (Range<Int>) throws -> Void) rethrows {
    switch self {
    case .range(let range): try body(range)
    case .list(let rows):
      var run: Range<Int>?
      for row in rows {
        if let open = run, open.upperBound == row {
          run = open.lowerBound..<row + 1
        } else {
          if let run { try body(run) }
          run = row..<row + 1
        }
      }
      if let run { try body(run) }
    }
  }
}

/// Memory that some rows' payloads are read into, kept from piece to piece.
///
/// Fresh memory costs a page fault for every 4 KiB, a small piece that is used again stays in the
/// processor's cache. For one worker at a time.
public final class RowMemory {
  private var slots: [UnsafeMutableRawBufferPointer] = []
  private var taken = 0

  public init() {}

  deinit { for slot in slots { slot.deallocate() } }

  /// Lets go of what was taken before.
  public func begin() { taken = 0 }

  /// Memory that is valid until `begin`.
  public func take(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if taken == slots.count {
      slots.append(.allocate(byteCount: max(count, 1), alignment: 64))
    } else if slots[taken].count < count {
      slots[taken].deallocate()
      slots[taken] = .allocate(byteCount: count, alignment: 64)
    }
    taken += 1
    return UnsafeMutableRawBufferPointer(rebasing: slots[taken - 1][0..<count])
  }
}

extension Tensor {
  /// Reads some rows, which fill the target.
  public func read(_ rows: RowSelection, into target: UnsafeMutableRawBufferPointer) throws {
    let stride = shape.rowElementCount * dtype.bytes
    var place = 0
    try rows.forEachRun { run in
      let end = place + run.count * stride
      try bytes.read(
        at: run.lowerBound * stride,
        into: UnsafeMutableRawBufferPointer(rebasing: target[place..<end]))
      place = end
    }
  }

  /// Some rows as a tensor in memory, valid until that is begun anew.
  public func window(_ rows: RowSelection, in memory: RowMemory) throws -> Tensor {
    let stride = shape.rowElementCount * dtype.bytes
    let target = memory.take(rows.count * stride)
    if stride < 2048, case .list(let list) = rows, let first = list.min(), let last = list.max(),
      last - first < 2 * list.count
    {
      // Short rows that lie together: one call of the system, then copies.
      let span = memory.take((last - first + 1) * stride)
      try bytes.read(at: first * stride, into: span)
      for (place, row) in list.enumerated() {
        let from = (row - first) * stride
        UnsafeMutableRawBufferPointer(rebasing: target[place * stride..<(place + 1) * stride])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: span[from..<from + stride]))
      }
    } else {
      try read(rows, into: target)
    }
    return try Tensor(
      dtype: dtype, shape: Shape([rows.count] + shape.dimensions.dropFirst()),
      bytes: Bytes(borrowing: UnsafeRawBufferPointer(target), release: {}))
  }
}

extension IntegerBase {
  /// Some rows as a base of their own, valid until `memory` is begun anew.
  public func window(_ selection: RowSelection, in memory: RowMemory) throws -> IntegerBase {
    let isShared = grid.granularity == .tensor
    return IntegerBase(
      grid: grid, rows: selection.count, columns: columns,
      codes: try codes.window(selection, in: memory),
      scales: isShared ? scales : try scales.window(selection, in: memory),
      zeros: isShared ? zeros : try zeros?.window(selection, in: memory))
  }
}

extension Base {
  /// Some rows as a base of their own, valid until `memory` is begun anew; nil for forms whose rows
  /// do not lie apart.
  func window(_ selection: RowSelection, in memory: RowMemory) throws -> Base? {
    switch self {
    case .dense(let base):
      return .dense(DenseBase(values: try base.values.window(selection, in: memory)))
    case .integer(let base): return .integer(try base.window(selection, in: memory))
    case .blocks(let base):
      return .blocks(
        BlockBase(
          format: base.format, rows: selection.count, columns: base.columns,
          blocks: try base.blocks.window(selection, in: memory)))
    case .table(let base):
      // Factors of these two belong to rows, or to runs of scales across them.
      guard base.grid.scaleFormat != .ratio, base.grid.scaleFormat != .dynamic8,
        base.grid.packing == .stream
      else { return nil }
      let isShared = base.grid.granularity == .tensor
      return .table(
        TableBase(
          grid: base.grid, rows: selection.count, columns: base.columns,
          codes: try base.codes.window(selection, in: memory),
          scales: isShared ? base.scales : try base.scales.window(selection, in: memory),
          factors: base.factors, offset: base.offset))
    case .sparse, .mixed, .planes: return nil
    }
  }
}

extension CompressedWeight {
  /// Whether rows decoded a few at a time are the same bits as all at once: products of factors and
  /// folded transforms round by the size of what is multiplied.
  public var decodesByRows: Bool {
    base != nil && lowRank.isEmpty && site?.transforms.isEmpty != false
  }

  /// Decodes some rows of a weight that `decodesByRows`: base ⊙ mask + outliers.
  ///
  /// - Parameters:
  ///   - target: room for `rows.count × columns` values.
  ///   - memory: begun anew.
  /// - Throws: what reading the payloads throws.
  public func decode(
    rows: Range<Int>, into target: UnsafeMutablePointer<Float>, memory: RowMemory
  ) throws {
    precondition(decodesByRows, "a weight whose rows are decoded together")
    memory.begin()
    if let window = try base?.window(.range(rows), in: memory) {
      window.decode(rows: 0..<rows.count, into: target)
    } else {
      base?.decode(rows: rows, into: target)
    }
    mask?.apply(to: target, rows: rows, columns: columns)
    outliers?.add(to: target, rows: rows, width: columns)
  }
}
