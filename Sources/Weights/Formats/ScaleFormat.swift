import Foundation
import Kernels
import Tensors

/// How the scales of a table format are stored.
public enum ScaleFormat: String, Sendable, Hashable, CaseIterable {
  case f32, f16, bf16
  /// A power of two, one byte: the biased exponent (OCP MX; ZeroQuant-FP's first constraint).
  case e8m0
  /// An 8-bit float times one f32 for the tensor (NVFP4).
  case e4m3
  /// One byte of bitsandbytes' dynamic map, times an f32 for every 256 scales, plus their mean
  /// (QLoRA's double quantization).
  case dynamic8
  /// A row's largest scale in f32, over a power of two for each group (ZeroQuant-FP's second
  /// constraint: only ratios are powers of two).
  case ratio

  /// The element type of the scales' tensor.
  public var dtype: DType {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .e4m3: .f8e4m3
    case .e8m0, .dynamic8, .ratio: .u8
    }
  }

  /// Whether a byte stands for a scale, by `codeValues`.
  var isCoded: Bool { dtype.bytes == 1 }

  /// Whether there are f32 factors beside the scales.
  var hasFactors: Bool { self == .e4m3 || self == .dynamic8 || self == .ratio }

  /// Whether a row's scales depend on that row alone.
  var isByRow: Bool { self != .e4m3 && self != .dynamic8 }

  /// Scales that share a factor under `dynamic8`.
  static let block = 256

  /// How many factors there are.
  public func factorCount(rows: Int, columns: Int) -> Int {
    switch self {
    case .e4m3: 1
    case .ratio: rows
    case .dynamic8: (rows * columns + Self.block - 1) / Self.block
    default: 0
    }
  }

  /// The values of the 256 bytes; NaN where a byte is no scale.
  var codeValues: [Float] {
    switch self {
    case .e8m0: Self.exponentValues
    case .e4m3: Self.floatValues
    case .dynamic8: Self.dynamicMap
    case .ratio: Self.ratioValues
    default: []
    }
  }

  private static let exponentValues: [Float] = (0...255).map {
    $0 == 255 ? .nan : Float(sign: .plus, exponent: $0 - 127, significand: 1)
  }

  private static let floatValues: [Float] = (0...255).map { code in
    code > 0 && code < 0x7F ? Minifloat.e4m3.magnitude(code) : .nan
  }

  /// A scale 2^−126 below its row's largest still is a normal number beside any f16.
  private static let ratioValues: [Float] = (0...255).map {
    $0 <= 100 ? Float(sign: .plus, exponent: -$0, significand: 1) : .nan
  }

  /// bitsandbytes' dynamic 8-bit map, ascending: 127 numbers of each sign over seven decades, the
  /// more the larger they are, and 0 and 1.
  static let dynamicMap: [Float] = {
    var values: [Double] = [0, 1]
    for step in 0..<7 {
      let count = 1 << step
      let decade = pow(10.0, Double(step - 6))
      for index in 0..<count {
        let middle = 0.1 + 0.9 * (Double(index) + 0.5) / Double(count)
        values += [middle * decade, -middle * decade]
      }
    }
    return values.sorted().map(Float.init)
  }()
}

/// How a scale is found from a group when no search is made.
public enum ScaleRule: String, Sendable, Hashable, CaseIterable {
  /// The largest magnitude lies on the format's end; a power of two is rounded up.
  case absmax
  /// The mean magnitude (BitNet b1.58's ternary weights).
  case absmean
  /// OCP MX: 2^(⌊log2 amax⌋ − ⌊log2 of the format's end⌋); the largest numbers may be clipped.
  case floor
  /// As `floor`, a significand of 1.75 and more counted as the next power of two
  /// (compressed-tensors).
  case roundUp = "round_up"
}
