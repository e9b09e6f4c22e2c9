import Kernels

/// Sums of bytes: what it costs to touch everything once.
public enum ByteSum {
  /// The sum of all bytes, as unsigned numbers.
  public static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    guard let start = bytes.baseAddress else { return 0 }
    return pith_sum_bytes(start, bytes.count)
  }
}
