import Tensors

/// Groups of inputs with one bit more, paid for by others with one bit less (SliM-LLM, arXiv
/// 2405.14917).
///
/// How many there are follows from the width alone, so that the size is known before; which ones,
/// from their salience. One bit less than 2 is ternary, five codes a byte: 1.6 bits.
public struct MixedScheme: Sendable, Hashable {
  /// The scheme of the groups between: scales per group, 2 to 7 bits.
  public let middle: IntegerScheme
  /// The fraction of the groups with one bit more.
  public let share: Double

  /// - Throws: `WeightsError.bitsOutOfRange`, or `.mixedNeedsGroups` without groups of inputs.
  public init(_ middle: IntegerScheme, share: Double) throws(WeightsError) {
    guard middle.bits < 8 else { throw .bitsOutOfRange(middle.bits + 1) }
    guard case .group = middle.granularity else { throw .mixedNeedsGroups }
    self.middle = middle
    self.share = share
  }

  public var group: Int {
    if case .group(let length) = middle.granularity { length } else { 1 }
  }

  /// How many groups have one bit less, and how many one bit more.
  ///
  /// The codes never take more bytes than with the same bits everywhere. None of either where the
  /// width has too few groups.
  public func counts(columns: Int) -> (low: Int, high: Int) {
    let total = columns / group
    let budget = PackedCodes.bytes(count: columns, bits: middle.bits)
    for high in stride(from: max(1, Int((share * Double(total)).rounded())), to: 0, by: -1) {
      for low in stride(from: 1, through: total - high, by: 1)
      where codeBytes(low: low, middle: total - low - high, high: high) <= budget {
        return (low, high)
      }
    }
    return (0, 0)
  }

  private func codeBytes(low: Int, middle count: Int, high: Int) -> Int {
    (middle.bits == 2
      ? CodePacking.trits.bytes(columns: low * group, bits: 2)
      : PackedCodes.bytes(count: low * group, bits: middle.bits - 1))
      + PackedCodes.bytes(count: count * group, bits: middle.bits)
      + PackedCodes.bytes(count: high * group, bits: middle.bits + 1)
  }

  /// Bytes of the base; exact.
  public func storedBytes(rows: Int, columns: Int) -> Int {
    let total = columns / group
    let (low, high) = counts(columns: columns)
    var zeros = 0
    if !middle.symmetric {
      zeros =
        PackedCodes.bytes(count: total - low - high, bits: middle.bits)
        + PackedCodes.bytes(count: high, bits: middle.bits + 1)
      if middle.bits > 2 { zeros += PackedCodes.bytes(count: low, bits: middle.bits - 1) }
    }
    return total + rows
      * (codeBytes(low: low, middle: total - low - high, high: high) + zeros
        + total * middle.scaleType.bytes)
  }

  /// The ternary scheme that stands for one bit less than 2.
  var ternary: TableScheme {
    get throws(WeightsError) {
      let scales: ScaleFormat =
        switch middle.scaleType {
        case .f32: .f32
        case .bf16: .bf16
        default: .f16
        }
      return try TableScheme(
        TableGrid(
          format: .ternary, granularity: middle.granularity, scaleFormat: scales, packing: .trits),
        clip: middle.clip)
    }
  }
}

extension MixedScheme: CustomStringConvertible {
  /// "int2±1 g128".
  public var description: String {
    "int\(middle.bits)±1" + (middle.symmetric ? "" : " asym") + " g\(group)"
  }
}

extension MixedBase {
  /// Every group rounded to the nearest in the class that its salience gives it.
  ///
  /// - Parameter salience: of every group; equal ones go by their number.
  /// - Throws: `WeightsError`.
  public static func roundToNearest(
    _ weight: Matrix<Float>, scheme: MixedScheme, salience: [Double], mask: Mask? = nil,
    pool: WorkerPool = .serial
  ) throws(WeightsError) -> MixedBase {
    try weight.checkFinite()
    let group = scheme.group
    let total = weight.columns / group
    guard weight.columns % group == 0 else {
      throw .groupDoesNotDivide(group: group, columns: weight.columns)
    }
    precondition(salience.count == total, "\(salience.count) groups for \(total)")
    let (low, high) = scheme.counts(columns: weight.columns)
    let order = (0..<total).sorted { (salience[$0], $0) < (salience[$1], $1) }
    let parts = [order.prefix(low), order[low..<total - high], order.suffix(high)]
    let masked = mask.map { $0.applied(to: weight) } ?? weight
    var members = [UInt8](repeating: 0, count: total)
    var classes: [Base] = []
    for (step, part) in zip(-1...1, parts) where !part.isEmpty {
      let groups = part.sorted()
      for index in groups { members[index] = UInt8(classes.count) }
      let values = masked.gathered(groups, of: group)
      let bits = scheme.middle.bits + step
      if bits < 2 {
        classes.append(
          .table(try .roundToNearest(values, scheme: scheme.ternary, pool: pool)))
      } else {
        let own = try IntegerScheme(
          bits: bits, symmetric: scheme.middle.symmetric, granularity: scheme.middle.granularity,
          scaleType: scheme.middle.scaleType, clip: scheme.middle.clip)
        classes.append(.integer(try .roundToNearest(values, scheme: own, pool: pool)))
      }
    }
    return MixedBase(
      rows: weight.rows, columns: weight.columns, group: group,
      members: Tensor(dtype: .u8, shape: [total], array: members), classes: classes)
  }

  /// The mean of w² of every group: its salience where inputs are unknown.
  public static func meanSquares(_ weight: Matrix<Float>, group: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: weight.columns / max(group, 1))
    for row in 0..<weight.rows {
      for (column, index) in weight.range(ofRow: row).enumerated() {
        sums[column / group] += Double(weight.values[index]) * Double(weight.values[index])
      }
    }
    return sums.map { $0 / Double(max(group * weight.rows, 1)) }
  }
}

extension Matrix where Element == Float {
  /// Some groups of columns side by side.
  fileprivate func gathered(_ groups: [Int], of length: Int) -> Matrix<Float> {
    var result: [Float] = []
    result.reserveCapacity(rows * groups.count * length)
    for row in 0..<rows {
      for group in groups {
        let start = row * columns + group * length
        result += values[start..<start + length]
      }
    }
    return Matrix(rows: rows, columns: groups.count * length, values: result)
  }
}
