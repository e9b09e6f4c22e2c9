/// The element types of GGUF tensors (ggml's numbers): plain values, or blocks of values that
/// share scales.
///
/// The container hands blocks out as bytes; what they mean is the business of rooms above.
public enum GGUFBlockType: UInt32, Sendable, Hashable, CaseIterable {
  case f32 = 0, f16 = 1
  case q4v0 = 2, q4v1 = 3, q5v0 = 6, q5v1 = 7, q8v0 = 8
  case q2k = 10, q3k = 11, q4k = 12, q5k = 13, q6k = 14
  case bf16 = 30

  /// What GGUF's own tools call it: "Q4_K".
  public var name: String {
    let text = "\(self)".uppercased()
    // Cases have no underscores: Q4V0 is Q4_0, Q4K is Q4_K.
    if text.hasSuffix("K") { return text.dropLast() + "_K" }
    return text.hasPrefix("Q") ? text.replacing("V", with: "_") : text
  }

  /// Values of one block.
  public var blockLength: Int {
    switch self {
    case .f32, .f16, .bf16: 1
    case .q4v0, .q4v1, .q5v0, .q5v1, .q8v0: 32
    case .q2k, .q3k, .q4k, .q5k, .q6k: 256
    }
  }

  /// Bytes of one block.
  public var blockBytes: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    case .q4v0: 18
    case .q4v1: 20
    case .q5v0: 22
    case .q5v1: 24
    case .q8v0: 34
    case .q2k: 84
    case .q3k: 110
    case .q4k: 144
    case .q5k: 176
    case .q6k: 210
    }
  }

  /// The kernels' number of a type of blocks; nil for plain values.
  var kernelType: Int32? {
    let blocks: [GGUFBlockType] = [
      .q4v0, .q4v1, .q5v0, .q5v1, .q8v0, .q2k, .q3k, .q4k, .q5k, .q6k,
    ]
    return blocks.firstIndex(of: self).map { Int32($0) }
  }

  /// Bytes of a row of values; nil when blocks do not divide it.
  public func rowBytes(columns: Int) -> Int? {
    columns % blockLength == 0 ? columns / blockLength * blockBytes : nil
  }
}
