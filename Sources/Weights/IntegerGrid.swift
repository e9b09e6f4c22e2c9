import Tensors

/// An integer grid: how many bits, where the zero lies, and how far one scale reaches.
public struct IntegerGrid: Sendable, Hashable {
  /// 2 to 8.
  public let bits: Int
  /// Symmetric codes have their zero at 2^(bits-1) and scale = amax / ((2^bits − 1) / 2); asymmetric
  /// ones carry a zero point and a range that includes 0.
  public let symmetric: Bool
  public let granularity: Granularity
  /// The element type of the scales: f32, f16 or bf16.
  ///
  /// Codes are chosen with the scale as stored.
  public let scaleType: DType

  public init(bits: Int, symmetric: Bool, granularity: Granularity, scaleType: DType) {
    precondition((2...8).contains(bits), "\(bits) bits")
    precondition([.f32, .f16, .bf16].contains(scaleType), "scales in \(scaleType)")
    self.bits = bits
    self.symmetric = symmetric
    self.granularity = granularity
    self.scaleType = scaleType
  }
}

/// How far one scale reaches.
public enum Granularity: Sendable, Hashable {
  case tensor
  /// One scale per output channel.
  case channel
  /// One scale per run of this many inputs of an output channel; divides the width.
  case group(Int)
}
