/// How much a file may cost before it counts as hostile.
public struct HDF5Limits: Sendable, Hashable {
  /// Wall time of one step in the child process.
  public var seconds: Double
  /// Address space that the child process may take beyond the program's own.
  public var memoryBytes: Int

  public init(seconds: Double = 20, memoryBytes: Int = 2 << 30) {
    self.seconds = seconds
    self.memoryBytes = memoryBytes
  }

  /// Chunks that unfold to more than this are refused.
  static let chunkBytes = 1 << 30
  /// Deflate shrinks to 1/1032 at best; a dataset that declares more than this many times what it
  /// stores holds fill values, and is refused when it is large.
  static let largestRatio = 1100
  /// Datasets up to this size may hold fill values alone.
  static let unfilledBytes = 64 << 20
}
