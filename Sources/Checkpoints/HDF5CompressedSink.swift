import Synchronization
import Tensors

/// An HDF5 file whose datasets are compressed (gzip), for readers that take no other program's
/// archives: values go through libhdf5, one dataset at a time.
///
/// Slower than `HDF5Sink`, and nothing of it can be mapped.
public final class HDF5CompressedSink: Sendable {
  private let file: ReplacementFile
  private let types: [String: DType]
  private let session: Mutex<HDF5WritingSession>

  /// Writes the structure beside the target.
  ///
  /// - Parameter level: 1 (quick) to 9 (small), as gzip's.
  /// - Throws: as `HDF5Sink`.
  public init(
    path: String, tensors: [HDF5SinkTensor], attributes: [String: AttributeValue] = [:],
    level: Int = 4
  ) throws(CheckpointError) {
    precondition((1...9).contains(level), "gzip's levels are 1 to 9")
    let tree = try HDF5TreeBuilder.tree(of: tensors, attributes: attributes, target: path)
    let file = try ReplacementFile(target: path)
    self.file = file
    types = Dictionary(tensors.map { ($0.name, $0.dtype) }) { first, _ in first }
    session = Mutex(
      try HDF5Library.exclusively { () throws(CheckpointError) in
        var session = HDF5WritingSession(target: path)
        do throws(CheckpointError) {
          try session.open(tree, to: file.temporaryPath, deflateLevel: level)
        } catch {
          try? session.close()
          throw error
        }
        return session
      })
  }

  deinit {
    session.withLock { session in
      HDF5Library.exclusively { try? session.close() }
    }
  }

  /// Writes all values of a tensor; safe from several threads, which wait for each other.
  public func write(_ bytes: UnsafeRawBufferPointer, to tensor: String) throws(CheckpointError) {
    guard let dtype = types[tensor] else {
      throw .hdf5(path: file.target, .noSuchTensor(tensor))
    }
    try session.withLock { session throws(CheckpointError) in
      try HDF5Library.exclusively { () throws(CheckpointError) in
        try session.write(bytes, dtype, to: tensor)
      }
    }
  }

  /// Closes the file, flushes it to the disk and renames it into place.
  public func finish() throws(CheckpointError) {
    try session.withLock { session throws(CheckpointError) in
      try HDF5Library.exclusively { () throws(CheckpointError) in try session.close() }
    }
    try file.commit()
  }
}
