import Kernels
import Tensors

/// Streams of unsigned codes, `bits` (1 to 8) wide, least significant bit first.
///
/// (1) unpack ∘ pack is the identity for codes below 2^bits; (2) bits beyond the last code are 0.
public enum PackedCodes {
  /// The bytes that a run of codes takes.
  public static func bytes(count: Int, bits: Int) -> Int { (count * bits + 7) / 8 }

  /// Codes, one a byte, as a stream.
  public static func pack(_ codes: [UInt8], bits: Int) -> [UInt8] {
    precondition((1...8).contains(bits), "\(bits) bits")
    let total = bytes(count: codes.count, bits: bits)
    return Array(unsafeUninitializedCapacity: total) { target, initialized in
      if let to = target.baseAddress { pith_pack_codes(codes, codes.count, Int32(bits), to) }
      initialized = total
    }
  }

  /// A stream as codes, one a byte; too short a stream is a bug of the caller.
  public static func unpack(_ packed: [UInt8], count: Int, bits: Int) -> [UInt8] {
    precondition((1...8).contains(bits), "\(bits) bits")
    precondition(packed.count >= bytes(count: count, bits: bits), "\(packed.count) bytes")
    return Array(unsafeUninitializedCapacity: count) { target, initialized in
      if let to = target.baseAddress { pith_unpack_codes(packed, count, Int32(bits), to) }
      initialized = count
    }
  }

  /// A stream as codes, one a byte, where both lie in memory that has room for them.
  public static func unpack(
    _ packed: UnsafeRawPointer, count: Int, bits: Int, into codes: UnsafeMutableRawPointer
  ) {
    precondition((1...8).contains(bits), "\(bits) bits")
    pith_unpack_codes(
      packed.assumingMemoryBound(to: UInt8.self), count, Int32(bits),
      codes.assumingMemoryBound(to: UInt8.self))
  }

  /// One code of a stream.
  static func code(_ stream: UnsafeRawBufferPointer, index: Int, bits: Int) -> Int {
    let first = index * bits
    var word = Int(stream[first / 8])
    if first / 8 + 1 < stream.count { word |= Int(stream[first / 8 + 1]) << 8 }
    return word >> (first % 8) & ((1 << bits) - 1)
  }

  /// The first row whose bits beyond `count` codes are not all zero, nil when there is none.
  static func firstDirtyPadding(
    _ stream: UnsafeRawBufferPointer, rows: Int, count: Int, bits: Int
  ) -> Int? {
    let stride = bytes(count: count, bits: bits)
    let used = count * bits % 8
    guard used > 0 else { return nil }
    return (0..<rows).first { stream[$0 * stride + stride - 1] >> used != 0 }
  }
}
