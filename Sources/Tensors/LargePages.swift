#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Pages of 2 MiB for large buffers.
///
/// A fresh page costs a fault of up to 2 µs: a quarter of a second for the 512 MiB that a large
/// layer's sweep goes through, in pages of 4 KiB.
public enum LargePages {
  private static let size = 2 << 20

  /// Asks for large pages where whole ones fit into a buffer that was not written yet; a wish that
  /// the system may refuse.
  public static func advise(_ buffer: UnsafeMutableRawBufferPointer) {
    #if os(Linux)
    guard buffer.count >= 2 * size, let base = buffer.baseAddress else { return }
    let first = (Int(bitPattern: base) + size - 1) / size * size
    let last = (Int(bitPattern: base) + buffer.count) / size * size
    guard first < last else { return }
    // MADV_HUGEPAGE, which Musl's headers may lack.
    _ = madvise(UnsafeMutableRawPointer(bitPattern: first), last - first, 14)
    #endif
  }

  /// Numbers whose bytes are all zero, in large pages where they are many.
  public static func zeros<Element: Numeric>(
    _ type: Element.Type = Element.self, count: Int
  ) -> [Element] {
    Array(unsafeUninitializedCapacity: count) { buffer, initialized in
      let bytes = UnsafeMutableRawBufferPointer(
        rebasing: UnsafeMutableRawBufferPointer(buffer)[
          0..<count * MemoryLayout<Element>.stride])
      advise(bytes)
      bytes.initializeMemory(as: UInt8.self, repeating: 0)
      initialized = count
    }
  }
}
