import COpenBLAS

/// The library as this process has it: one thread, and what it says about itself.
enum OpenBLASLibrary {
  /// Sets one thread; evaluated once, before the first routine that is called.
  ///
  /// OpenBLAS changes its rounding with its thread count (docs/determinism.md), and its threads
  /// below ours would oversubscribe the cores.
  static let singleThreaded: Void = openblas_set_num_threads(1)

  /// What the library was built with, as it says itself.
  static var configuration: String {
    openblas_get_config().map { String(cString: $0) } ?? "unknown"
  }

  /// The processor kind whose kernels it chose: `Haswell`, `SkylakeX`.
  static var coreName: String {
    openblas_get_corename().map { String(cString: $0) } ?? "unknown"
  }
}
