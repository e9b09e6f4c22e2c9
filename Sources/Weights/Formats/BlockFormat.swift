import Kernels
import Tensors

/// ggml's block formats (GGUF): integer codes under scales that are integers themselves.
///
/// K-quants hold 256 values: sub-blocks of 16 or 32 with a small integer as scale (and one as
/// minimum) under one f16 each for the block. The older ones hold 32 values under one f16, some
/// with a smallest value in f16.
public enum BlockFormat: String, Sendable, Hashable, CaseIterable {
  case q40 = "q4_0"
  case q41 = "q4_1"
  case q50 = "q5_0"
  case q51 = "q5_1"
  case q80 = "q8_0"
  case q2K = "q2_k"
  case q3K = "q3_k"
  case q4K = "q4_k"
  case q5K = "q5_k"
  case q6K = "q6_k"

  /// The kernels' number, ggml's order of names aside.
  var kernelType: Int32 { Int32(Self.allCases.firstIndex(of: self) ?? 0) }

  private var kernelFormat: PithBlockFormat { pith_block_format(kernelType) }

  /// Values in a block.
  public var length: Int { Int(kernelFormat.length) }
  /// Values that share a scale.
  public var subLength: Int { Int(kernelFormat.sub) }
  /// Bytes of a block, as in a GGUF file.
  public var bytes: Int { Int(kernelFormat.bytes) }
  /// The codes.
  public var codes: ClosedRange<Int> { Int(kernelFormat.low)...Int(kernelFormat.high) }
  /// Whether something is taken off a value: minima.
  public var hasMinima: Bool { kernelFormat.min_high > 0 }

  /// Bytes of a weight; `columns` is a multiple of `length`.
  public func storedBytes(rows: Int, columns: Int) -> Int { rows * (columns / length) * bytes }

  /// The format for a width.
  ///
  /// Itself where its blocks fit, else one of blocks of 32 with at least as many bits, nil when
  /// neither fits. A note says what was changed and why.
  public func resolve(columns: Int) -> (format: BlockFormat, note: String?)? {
    if columns > 0, columns % length == 0 { return (self, nil) }
    let smaller: BlockFormat =
      switch self {
      case .q2K, .q3K: .q40
      case .q4K: .q50
      case .q5K: .q51
      case .q6K: .q80
      default: self
      }
    guard columns > 0, columns % smaller.length == 0 else { return nil }
    return (smaller, "\(smaller.rawValue): blocks of \(length) do not divide \(columns)")
  }
}

/// One block as numbers: value i is (d · scales[i / sub]) · codes[i] − minimum · minima[i / sub].
///
/// Of the older formats scales are 1, and minima −1 or 0.
public struct Block: Sendable, Hashable {
  /// An f16 number, of either sign.
  public var d: Float
  /// An f16 number.
  public var minimum: Float
  public var scales: [Int]
  public var minima: [Int]
  public var codes: [Int]

  /// A block from its bytes.
  public init(_ bytes: UnsafeRawBufferPointer, format: BlockFormat) {
    precondition(bytes.count == format.bytes, "\(bytes.count) bytes of a block")
    var block = PithBlock()
    if let from = bytes.baseAddress {
      pith_unpack_block(
        format.kernelType, from.assumingMemoryBound(to: UInt8.self), &block)
    }
    let count = format.length / format.subLength
    d = block.d
    minimum = block.minimum
    scales = withUnsafeBytes(of: block.scales) {
      $0.bindMemory(to: Int16.self).prefix(count).map(Int.init)
    }
    minima = withUnsafeBytes(of: block.minima) {
      $0.bindMemory(to: Int16.self).prefix(count).map(Int.init)
    }
    codes = withUnsafeBytes(of: block.codes) {
      $0.bindMemory(to: Int16.self).prefix(format.length).map(Int.init)
    }
  }

  /// The block's bytes, as in a GGUF file; numbers beyond the format's are a bug of the caller.
  public func bytes(format: BlockFormat) -> [UInt8] {
    precondition(codes.count == format.length && codes.allSatisfy(format.codes.contains), "codes")
    var block = PithBlock()
    block.d = d
    block.minimum = minimum
    func fill<Numbers>(_ target: inout Numbers, _ values: [Int]) {
      withUnsafeMutableBytes(of: &target) {
        let numbers = $0.bindMemory(to: Int16.self)
        for (index, value) in values.enumerated() { numbers[index] = Int16(value) }
      }
    }
    fill(&block.scales, scales)
    fill(&block.minima, minima)
    fill(&block.codes, codes)
    var result = [UInt8](repeating: 0, count: format.bytes)
    pith_pack_block(format.kernelType, &block, &result)
    return result
  }
}
