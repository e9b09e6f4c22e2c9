import Kernels
import Tensors

/// How a group's range is shrunk before its scale is taken.
public enum ClipSearch: Sendable, Hashable {
  /// The whole range.
  case none
  /// The range times p = 1 − i·maxShrink/steps, i in 0..<steps, with the least squared error.
  ///
  /// All candidates are tried (a search with patience can stop before the minimum); among equal
  /// errors the one that clips least wins, so the result is never worse than `none`.
  case meanSquare(steps: Int = 80, maxShrink: Float = 0.8)
}

/// An integer grid together with the way its scales are chosen.
public struct IntegerScheme: Sendable, Hashable {
  /// 2 to 8.
  public let bits: Int
  public let symmetric: Bool
  public let granularity: Granularity
  /// f32, f16 or bf16.
  public let scaleType: DType
  public let clip: ClipSearch

  /// A checked scheme.
  ///
  /// - Throws: `WeightsError.bitsOutOfRange`, `.scaleTypeUnsupported`, `.groupDoesNotDivide`
  ///   (a group below 1) or `.clipSearchInvalid`.
  public init(
    bits: Int, symmetric: Bool = true, granularity: Granularity = .group(128),
    scaleType: DType = .f16, clip: ClipSearch = .meanSquare()
  ) throws(WeightsError) {
    guard (2...8).contains(bits) else { throw .bitsOutOfRange(bits) }
    guard [.f32, .f16, .bf16].contains(scaleType) else { throw .scaleTypeUnsupported(scaleType) }
    if case .group(let size) = granularity, size < 1 {
      throw .groupDoesNotDivide(group: size, columns: 0)
    }
    if case .meanSquare(let steps, let shrink) = clip {
      guard steps >= 1, steps <= 100_000, shrink >= 0, shrink < 1 else {
        throw .clipSearchInvalid(steps: steps, maxShrink: shrink)
      }
    }
    self.bits = bits
    self.symmetric = symmetric
    self.granularity = granularity
    self.scaleType = scaleType
    self.clip = clip
  }

  /// The grid without the search: what decoding needs.
  public var grid: IntegerGrid {
    IntegerGrid(
      bits: bits, symmetric: symmetric, granularity: granularity, scaleType: scaleType)
  }

  /// The same scheme with another reach of its scales.
  public func with(granularity: Granularity) throws(WeightsError) -> IntegerScheme {
    try IntegerScheme(
      bits: bits, symmetric: symmetric, granularity: granularity, scaleType: scaleType, clip: clip)
  }

  /// The scheme as the kernels take it.
  var kernelGrid: PithGrid {
    var grid = PithGrid()
    grid.bits = Int32(bits)
    grid.symmetric = symmetric ? 1 : 0
    grid.scale_type = scaleType.kernelScaleType
    switch clip {
    case .none:
      grid.clip_steps = 1
    case .meanSquare(let steps, let maxShrink):
      grid.clip_steps = Int32(steps)
      // Rounded to a millionth, so that 0.8 in f32 over 80 steps gives 0.01 and not its neighbour.
      grid.clip_step = (Double(maxShrink) / Double(steps) * 1e6).rounded() / 1e6
    }
    return grid
  }
}

extension DType {
  /// The kernels' number for a type of scales.
  public var kernelScaleType: Int32 {
    switch self {
    case .f16: Int32(PITH_F16)
    case .bf16: Int32(PITH_BF16)
    default: Int32(PITH_F32)
    }
  }
}

extension IntegerGrid {
  /// The inputs that share a scale, for a width.
  func groupLength(columns: Int) -> Int {
    if case .group(let size) = granularity { size } else { max(columns, 1) }
  }

  /// How many scales one row has; `tensor` has one for all rows, which counts here as 1 too.
  func scaleColumns(columns: Int) -> Int {
    granularity == .tensor ? 1 : columns / groupLength(columns: columns)
  }

  /// How many rows of scales there are.
  func scaleRows(rows: Int) -> Int { granularity == .tensor ? 1 : rows }

  /// The largest code.
  var topCode: Int { (1 << bits) - 1 }
}
