import Tensors
import Weights

/// Whether a weight is nothing but codes on an integer grid, as other tools know them.
enum ExactIntegers {
  case integers(IntegerBase)
  /// It is something else, or has more parts.
  case none(reason: String)

  /// - Parameter allowsRoundedInputs: whether the format can say how inputs are rounded.
  /// - Throws: what reading the weight's file throws.
  static func of(
    _ weight: CompressedWeight, name: String, allowsRoundedInputs: Bool = false
  ) throws -> ExactIntegers {
    if let reason = extraPart(of: weight) { return .none(reason: reason) }
    if weight.site?.activations != nil, !allowsRoundedInputs {
      return .none(
        reason: "its inputs are rounded, and only compressed-tensors can say how")
    }
    if case .sparse(let sparse)? = weight.base {
      return try unpacked(sparse, weight)
    }
    guard case .integer(let base)? = weight.base else {
      return .none(reason: "it holds no integer codes")
    }
    if let mask = weight.mask, try !isBakedIn(mask, base) {
      return .none(reason: "its mask drops codes that are not zero")
    }
    return .integers(base)
  }

  /// What a weight has beside its base and a mask; nil when there is nothing.
  static func extraPart(of weight: CompressedWeight) -> String? {
    guard weight.view.layout == .outputsFirst, weight.view.sourceShape.rank == 2 else {
      return "its axes are not outputs × inputs"
    }
    if !weight.lowRank.isEmpty { return "it has a low-rank path" }
    if weight.outliers != nil { return "some of its columns are kept apart" }
    if weight.site?.transforms.isEmpty == false { return "its inputs are transformed first" }
    return nil
  }

  /// Survivors that were stored alone, among the codes of zeros again.
  private static func unpacked(
    _ sparse: SparseBase, _ weight: CompressedWeight
  ) throws -> ExactIntegers {
    let whole = weight.unpacked()
    guard case .integer(let base)? = whole.base, let mask = whole.mask,
      try isBakedIn(mask, base)
    else {
      return .none(reason: "it is sparse, and its dropped entries have no code of zero")
    }
    return .integers(base)
  }

  /// Whether every dropped entry decodes to zero anyway.
  ///
  /// A few rows at a time, which are read: pages of a mapping would count against a cap.
  private static func isBakedIn(_ mask: Mask, _ base: IntegerBase) throws -> Bool {
    let plain = CompressedWeight(
      view: WeightView(rows: base.rows, columns: base.columns), base: .integer(base))
    var masked = plain
    masked.mask = mask
    let step = max(1, (1 << 18) / max(base.columns, 1))
    let memory = RowMemory()
    func values(_ weight: CompressedWeight, _ rows: Range<Int>) throws -> [Float] {
      let count = rows.count * base.columns
      return try Array(unsafeUninitializedCapacity: count) { target, initialized in
        if let start = target.baseAddress {
          try weight.decode(rows: rows, into: start, memory: memory)
        }
        initialized = count
      }
    }
    return try stride(from: 0, to: base.rows, by: step).allSatisfy { first in
      let rows = first..<min(first + step, base.rows)
      return try values(plain, rows) == values(masked, rows)
    }
  }
}

/// Rounding a weight again for a format that cannot hold it as it is.
enum Requantization {
  struct Outcome {
    var base: IntegerBase
    /// ‖new − old‖ / ‖old‖ over the weight's values.
    var relativeError: Double
  }

  /// What `round` takes at its peak: values, old and new, and codes.
  static func workingBytes(of weight: CompressedWeight) -> Int {
    weight.decodingBytes + 2 * weight.rows * weight.columns
  }

  static func round(
    _ weight: CompressedWeight, to scheme: IntegerScheme, pool: WorkerPool
  ) throws -> Outcome {
    let values = weight.decoded()
    let base = try IntegerBase.roundToNearest(values, scheme: scheme)
    let rounded = base.decoded()
    var (difference, norm) = (0.0, 0.0)
    for (new, old) in zip(rounded.values, values.values) {
      difference += Double(new - old) * Double(new - old)
      norm += Double(old) * Double(old)
    }
    return Outcome(
      base: base, relativeError: norm > 0 ? (difference / norm).squareRoot() : 0)
  }
}
