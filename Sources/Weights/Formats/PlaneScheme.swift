import Tensors

/// How binary-coded weights are made: how many planes, and how far their scales reach.
public struct PlaneScheme: Sendable, Hashable {
  /// 1 to 4, a bit of the code each.
  public let planes: Int
  /// Groups of inputs, or a channel.
  public let granularity: Granularity
  /// f16, bf16 or f32.
  public let scaleType: DType

  /// - Throws: `WeightsError.bitsOutOfRange`, `.scaleTypeUnsupported`, `.planesNeedGroups`.
  public init(
    planes: Int, granularity: Granularity = .group(128), scaleType: DType = .f16
  ) throws(WeightsError) {
    guard (1...4).contains(planes) else { throw .planesOutOfRange(planes) }
    guard [.f16, .bf16, .f32].contains(scaleType) else { throw .scaleTypeUnsupported(scaleType) }
    if case .tensor = granularity { throw .planesNeedGroups }
    self.planes = planes
    self.granularity = granularity
    self.scaleType = scaleType
  }

  /// Inputs that share scales.
  public func groupLength(columns: Int) -> Int {
    if case .group(let size) = granularity { size } else { columns }
  }

  /// Bytes of the base; exact.
  public func storedBytes(rows: Int, columns: Int) -> Int {
    let groups = columns / max(groupLength(columns: columns), 1)
    return rows
      * (PackedCodes.bytes(count: columns, bits: planes) + groups * planes * scaleType.bytes)
  }

  /// A scale as it will be stored; 0 stays 0.
  public func stored(_ scale: Float) -> Float {
    let limit: Float = scaleType == .f16 ? 65504 : .greatestFiniteMagnitude / 4
    let inside = max(0, min(scale, limit))
    return Tensor.encoded([inside], as: scaleType, shape: [1]).floats()[0]
  }
}

extension PlaneScheme: CustomStringConvertible {
  /// "bcq3 g128".
  public var description: String {
    switch granularity {
    case .group(let size): "bcq\(planes) g\(size)"
    case .channel: "bcq\(planes) per channel"
    case .tensor: "bcq\(planes) per tensor"
    }
  }
}
