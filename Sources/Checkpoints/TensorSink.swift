import Tensors

/// A file of tensors being written: made with all names, types and shapes known, filled in any
/// order, and moved into place when it is complete.
///
/// Until `finish` the target's old content is untouched; a sink that is dropped without it leaves
/// nothing behind. Writing to different ranges is safe from several threads at once.
public protocol TensorSink: Sendable {
  /// Writes bytes of a tensor at an offset from the tensor's beginning.
  func write(
    _ bytes: UnsafeRawBufferPointer, to tensor: String, at byteOffset: Int
  ) throws(CheckpointError)

  /// Flushes to the disk and renames into place.
  func finish() throws(CheckpointError)
}
