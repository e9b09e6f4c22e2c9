import Tensors

/// How a row's codes lie in bytes.
public enum CodePacking: String, Sendable, Hashable, CaseIterable {
  /// A stream of codes, least significant bit first.
  case stream = "lsb_first_rows"
  /// 6-bit codes apart: first the upper two bits of all, then the lower four, each as a stream.
  case split = "split_2_4_rows"
  /// Base-3 digits, five a byte, the first the least significant.
  case trits = "base3_rows"

  /// Bytes of a row.
  func bytes(columns: Int, bits: Int) -> Int {
    switch self {
    case .stream: PackedCodes.bytes(count: columns, bits: bits)
    case .split:
      PackedCodes.bytes(count: columns, bits: 2) + PackedCodes.bytes(count: columns, bits: 4)
    case .trits: (columns + 4) / 5
    }
  }
}

/// A table format with its scales: what decoding needs to know.
public struct TableGrid: Sendable, Hashable {
  public let format: NumberFormat
  public let granularity: Granularity
  public let scaleFormat: ScaleFormat
  public let packing: CodePacking

  /// A checked grid.
  ///
  /// - Throws: `WeightsError.packingUnsupported` or `.groupDoesNotDivide` (a group below 1).
  public init(
    format: NumberFormat, granularity: Granularity, scaleFormat: ScaleFormat = .f16,
    packing: CodePacking = .stream
  ) throws(WeightsError) {
    let isPossible =
      switch packing {
      case .stream: true
      case .split: format.bits == 6
      case .trits: format == .ternary
      }
    guard isPossible else {
      throw .packingUnsupported(packing: packing.rawValue, format: format.name)
    }
    if case .group(let size) = granularity, size < 1 {
      throw .groupDoesNotDivide(group: size, columns: 0)
    }
    self.format = format
    self.granularity = granularity
    self.scaleFormat = scaleFormat
    self.packing = packing
  }

  /// The inputs that share a scale, for a width.
  public func groupLength(columns: Int) -> Int {
    if case .group(let size) = granularity { size } else { max(columns, 1) }
  }

  /// How many scales one row has; `tensor` has one for all rows, which counts here as 1 too.
  func scaleColumns(columns: Int) -> Int {
    granularity == .tensor ? 1 : columns / groupLength(columns: columns)
  }

  func scaleRows(rows: Int) -> Int { granularity == .tensor ? 1 : rows }

  /// Bytes of a row's codes.
  public func codeBytes(columns: Int) -> Int { packing.bytes(columns: columns, bits: format.bits) }

  /// Bytes of codes, scales and factors.
  public func storedBytes(rows: Int, columns: Int) -> Int {
    let scaleRows = scaleRows(rows: rows)
    let scaleColumns = scaleColumns(columns: columns)
    return rows * codeBytes(columns: columns)
      + scaleRows * scaleColumns * scaleFormat.dtype.bytes
      + 4 * scaleFormat.factorCount(rows: scaleRows, columns: scaleColumns)
  }
}

/// A table format and how its scales are chosen.
public struct TableScheme: Sendable, Hashable {
  public let grid: TableGrid
  /// How a scale follows from its group where nothing is searched for.
  public let rule: ScaleRule
  public let clip: ClipSearch

  /// A checked scheme.
  ///
  /// - Throws: `WeightsError.clipSearchInvalid` or `.ruleUnsupported`.
  public init(
    _ grid: TableGrid, rule: ScaleRule? = nil, clip: ClipSearch = .meanSquare()
  ) throws(WeightsError) {
    if case .meanSquare(let steps, let shrink) = clip {
      guard steps >= 1, steps <= 100_000, shrink >= 0, shrink < 1 else {
        throw .clipSearchInvalid(steps: steps, maxShrink: shrink)
      }
    }
    let rule = rule ?? (grid.format == .ternary ? .absmean : .absmax)
    if rule == .floor || rule == .roundUp, grid.scaleFormat != .e8m0 {
      throw .ruleUnsupported(rule: rule.rawValue, scales: grid.scaleFormat.rawValue)
    }
    self.grid = grid
    self.rule = rule
    self.clip = clip
  }

  /// The same scheme with another reach of its scales.
  public func with(granularity: Granularity) throws(WeightsError) -> TableScheme {
    try TableScheme(
      TableGrid(
        format: grid.format, granularity: granularity, scaleFormat: grid.scaleFormat,
        packing: grid.packing), rule: rule, clip: clip)
  }

  /// The same scheme with another format of the same width.
  public func with(format: NumberFormat) throws(WeightsError) -> TableScheme {
    try TableScheme(
      TableGrid(
        format: format, granularity: grid.granularity, scaleFormat: grid.scaleFormat,
        packing: grid.packing), rule: rule, clip: clip)
  }
}

extension TableGrid: CustomStringConvertible {
  /// In a few words: "nf4 g64 dynamic8", "mxfp4", "nvfp4".
  public var description: String {
    switch (format, granularity, scaleFormat) {
    case (.minifloat(.e2m1), .group(32), .e8m0): return "mxfp4"
    case (.minifloat(.e2m1), .group(16), .e4m3): return "nvfp4"
    case (.minifloat(.e3m2), .group(32), .e8m0): return "mxfp6 e3m2"
    case (.minifloat(.e2m3), .group(32), .e8m0): return "mxfp6 e2m3"
    case (.minifloat(.e4m3), .group(32), .e8m0): return "mxfp8 e4m3"
    case (.minifloat(.e5m2), .group(32), .e8m0): return "mxfp8 e5m2"
    case (.fixedPoint8, .group(32), .e8m0): return "mxint8"
    default: break
    }
    let reach =
      switch granularity {
      case .tensor: "tensor"
      case .channel: "channel"
      case .group(let length): "g\(length)"
      }
    return format.name + " " + reach
      + (scaleFormat.isCoded || scaleFormat == .f32 ? " " + scaleFormat.rawValue : "")
  }
}
