import CHDF5
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// libhdf5, which is not safe for several threads: every call and every fork is under one lock.
enum HDF5Library {
  private static let lock = Mutex(false)

  /// Runs the closure while no other thread is inside the library.
  static func exclusively<Result: Sendable, Failure: Error>(
    _ body: () throws(Failure) -> sending Result
  ) throws(Failure) -> Result {
    try lock.withLock { isReady throws(Failure) in
      if !isReady {
        // Files are closed where they were opened; the library's own cleaning up at the end of the
        // process crashes (1.10.8) over a file that a full disk left half closed.
        H5dont_atexit()
        // Children inherit the library initialised, and do not pay for it again.
        H5open()
        pith_hdf5_be_quiet()
        isReady = true
      }
      return try body()
    }
  }

  /// The innermost message of the library's error stack.
  static var lastError: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { text in
      guard let start = text.baseAddress else { return "" }
      pith_hdf5_last_error(start)
      return String(cString: start)
    }
  }
}
