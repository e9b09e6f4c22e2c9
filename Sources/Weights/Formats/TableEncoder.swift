import Foundation
import Kernels
import Tensors

/// Encodes rows onto a table format, a chunk of rows at a time.
///
/// A value: any number of threads may encode different chunks at once, and chunks of any size give
/// the same bytes. Codes are chosen with the scales as stored.
public struct TableEncoder: Sendable {
  public let scheme: TableScheme
  /// Inputs of one row.
  public let columns: Int
  /// The values of the codes.
  let table: CodeTable
  /// The shrinks of a group's range that the search tries, descending; [1] without a search.
  let shrinks: [Double]

  /// - Throws: `WeightsError.groupDoesNotDivide`.
  public init(_ scheme: TableScheme, columns: Int) throws(WeightsError) {
    if case .group(let size) = scheme.grid.granularity, columns % size != 0 {
      throw .groupDoesNotDivide(group: size, columns: columns)
    }
    self.scheme = scheme
    self.columns = columns
    table = scheme.grid.format.table
    shrinks =
      switch scheme.clip {
      case .none: [1]
      case .meanSquare(let steps, let maxShrink):
        Self.shrinks(from: table.expansion, steps: steps, maxShrink: Double(maxShrink))
      }
  }

  private static func shrinks(from expansion: Double, steps: Int, maxShrink: Double) -> [Double] {
    let step = (maxShrink / Double(steps) * 1e6).rounded() / 1e6
    guard step > 0 else { return [1] }
    let above = Int(((expansion - 1) / step).rounded(.up))
    return (-above..<steps).map { 1 - Double($0) * step }
  }

  var grid: TableGrid { scheme.grid }

  /// Whether every row can be encoded by itself.
  public var isByRow: Bool { grid.scaleFormat.isByRow && grid.granularity != .tensor }

  /// Bytes of one row's codes.
  public var codeBytesPerRow: Int { grid.codeBytes(columns: columns) }
  /// Scales of one row.
  public var scalesPerRow: Int { grid.scaleColumns(columns: columns) }
  /// Bytes of one row's scales.
  public var scaleBytesPerRow: Int { scalesPerRow * grid.scaleFormat.dtype.bytes }
  /// Bytes of one row's own factors.
  public var factorBytesPerRow: Int { grid.scaleFormat == .ratio ? 4 : 0 }

  /// Encodes `rowCount` rows whose scales are their own and returns the error sums against them.
  ///
  /// `codes`, `scales` and `factors` are where these rows' parts begin.
  ///
  /// - Throws: `WeightsError.notFinite` with the row, counted from `firstRow`, and the column.
  public func encode(
    _ rows: UnsafeBufferPointer<Float>, rowCount: Int, firstRow: Int = 0,
    codes: UnsafeMutableRawPointer, scales: UnsafeMutableRawPointer,
    factors: UnsafeMutableRawPointer? = nil
  ) throws(WeightsError) -> ErrorSums {
    precondition(isByRow, "scales that depend on other rows")
    try check(rows, firstRow: firstRow)
    var sums = PithErrorSums()
    for row in 0..<rowCount {
      let values = UnsafeBufferPointer(rebasing: rows[row * columns..<(row + 1) * columns])
      var stored = chosenScales(values, grid: ScaleStore(grid.scaleFormat))
      let bytes = scales + row * scaleBytesPerRow
      if grid.scaleFormat == .ratio {
        let coded = ratios(stored, of: values)
        bytes.copyMemory(from: coded.bytes, byteCount: coded.bytes.count)
        factors?.storeBytes(of: coded.factor, toByteOffset: row * 4, as: Float.self)
        stored = coded.values
      } else {
        ScaleStore(grid.scaleFormat).write(stored, to: bytes)
      }
      encodeRow(values, scales: stored, codes: codes + row * codeBytesPerRow, &sums)
    }
    return ErrorSums(sums)
  }

  /// Refuses NaN and infinity.
  func check(_ rows: UnsafeBufferPointer<Float>, firstRow: Int) throws(WeightsError) {
    let bad = Int(pith_first_nonfinite(rows.baseAddress, rows.count))
    guard bad < 0 else {
      throw .notFinite(row: firstRow + bad / max(columns, 1), column: bad % max(columns, 1))
    }
  }

  /// The scales of one row's groups, as `store` would store them.
  func chosenScales(_ row: UnsafeBufferPointer<Float>, grid store: ScaleStore) -> [Float] {
    let length = max(grid.groupLength(columns: columns), 1)
    return stride(from: 0, to: columns, by: length).map {
      chosenScale(UnsafeBufferPointer(rebasing: row[$0..<$0 + length]), store: store)
    }
  }

  /// The scale of one group, as stored.
  func chosenScale(_ group: UnsafeBufferPointer<Float>, store: ScaleStore) -> Float {
    let range = pith_range(group.baseAddress, group.count)
    let amax = Double(range.absolute_maximum)
    // Any scale decodes zeros to zeros; 1 has a logarithm of 0 as well. Formats that look at all
    // scales together take it from the others.
    guard amax > 0 else {
      return store.format == .ratio || store.format == .dynamic8
        ? 0 : store.stored(1, largest: table.largest)
    }
    let ideal = amax / Double(table.reach)
    if shrinks.count == 1 {
      return store.stored(ruled(group, amax: amax, ideal: ideal), largest: table.largest)
    }
    var candidates: [Float] = []
    candidates.reserveCapacity(shrinks.count + 1)
    for shrink in shrinks {
      let scale = store.stored(Float(ideal * shrink), largest: table.largest)
      if candidates.last != scale { candidates.append(scale) }
    }
    let best = table.withKernelTable { table in
      pith_table_choose(table, candidates, candidates.count, group.baseAddress, group.count)
    }
    return candidates[best]
  }

  /// One row's scales as its largest over powers of two.
  ///
  /// Without a search ŝ ≤ s as ZeroQuant-FP has it, which clips; with one each group takes the
  /// neighbouring power with the least error.
  func ratios(
    _ scales: [Float], of row: UnsafeBufferPointer<Float>
  ) -> (bytes: [UInt8], factor: Float, values: [Float]) {
    var result = ScaleStore.ratios(scales)
    guard shrinks.count > 1 else { return result }
    let length = grid.groupLength(columns: columns)
    table.withKernelTable { table in
      for group in result.bytes.indices where scales[group] > 0 {
        let first = max(Int(result.bytes[group]) - 2, 0)
        let codes = first...max(Int(result.bytes[group]), first)
        let candidates = codes.map {
          result.factor * Float(sign: .plus, exponent: -$0, significand: 1)
        }
        let best = pith_table_choose(
          table, candidates, candidates.count, row.baseAddress.map { $0 + group * length }, length)
        result.bytes[group] = UInt8(first + best)
        result.values[group] = candidates[best]
      }
    }
    return result
  }

  /// The scale that the rule gives.
  private func ruled(
    _ group: UnsafeBufferPointer<Float>, amax: Double, ideal: Double
  ) -> Float {
    switch scheme.rule {
    case .absmax: return Float(ideal)
    case .absmean: return Float(group.reduce(0.0) { $0 + abs(Double($1)) } / Double(group.count))
    case .floor, .roundUp:
      let float = Float(amax)
      // The significand decides, as in the bits of an f32; a logarithm may be off by a place.
      let up = scheme.rule == .roundUp && float.significand >= 1.75 ? 1 : 0
      let exponent = Int(float.exponent) + up - Int(table.reach.exponent)
      return Float(sign: .plus, exponent: max(exponent, -127), significand: 1)
    }
  }

  /// The codes of one row on given scales, packed, and its error sums.
  func encodeRow(
    _ row: UnsafeBufferPointer<Float>, scales: [Float], codes: UnsafeMutableRawPointer,
    _ sums: inout PithErrorSums
  ) {
    guard columns > 0, let source = row.baseAddress else { return }
    let length = grid.groupLength(columns: columns)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: columns) { places in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { values in
        guard let place = places.baseAddress, let value = values.baseAddress else { return }
        table.withKernelTable { table in
          for (group, first) in stride(from: 0, to: columns, by: length).enumerated() {
            pith_table_encode(
              table, scales[group], source + first, length, place + first, value + first)
          }
        }
        grid.packing.pack(
          UnsafeBufferPointer(places), bits: table.bits,
          into: codes.assumingMemoryBound(to: UInt8.self))
        pith_error_sums(source, value, columns, &sums)
      }
    }
  }
}
