import Synchronization
import Tensors

/// A file of tensors whose places are settled before the first of their bytes is written: what
/// safetensors and GGUF have in common.
final class PlacedTensors: Sendable {
  private let file: ReplacementFile
  private let places: [String: Range<Int>]
  private let order: [String]
  private let written = Mutex<[String: Int]>([:])

  /// Reserves the file's whole size on the disk and writes what comes before the tensors.
  ///
  /// - Parameters:
  ///   - places: every tensor's bytes in the file, in the file's order.
  ///   - byteCount: the file's size.
  /// - Throws: `CheckpointError.diskFull`, `.cannotWrite`.
  init(
    path: String, header: [UInt8], places: [(name: String, bytes: Range<Int>)], byteCount: Int
  ) throws(CheckpointError) {
    file = try ReplacementFile(target: path)
    try file.reserve(bytes: byteCount)
    try file.write(header, at: 0)
    order = places.map(\.name)
    self.places = Dictionary(uniqueKeysWithValues: places.map { ($0.name, $0.bytes) })
  }

  /// Writes bytes of a tensor; a name or a range that was not announced is a bug of the caller.
  func write(
    _ bytes: UnsafeRawBufferPointer, to tensor: String, at byteOffset: Int
  ) throws(CheckpointError) {
    guard let place = places[tensor] else { preconditionFailure("'\(tensor)' was not announced") }
    precondition(
      byteOffset >= 0 && bytes.count <= place.count - byteOffset, "past the end of '\(tensor)'")
    try file.write(bytes, at: place.lowerBound + byteOffset)
    written.withLock { $0[tensor, default: 0] += bytes.count }
  }

  /// The place of a tensor's first byte.
  func position(of tensor: String) -> Int {
    guard let place = places[tensor] else { preconditionFailure("'\(tensor)' was not announced") }
    return place.lowerBound
  }

  /// Flushes to the disk and renames into place.
  ///
  /// - Throws: `CheckpointError.tensorIncomplete` when bytes of a tensor were never written: zeros
  ///   that nobody meant must not pass for weights.
  func finish(durably: Bool) throws(CheckpointError) {
    let written = self.written.withLock { $0 }
    for name in order {
      let expected = places[name]?.count ?? 0
      guard written[name, default: 0] >= expected else {
        throw .output(
          path: file.target,
          .tensorIncomplete(tensor: name, written: written[name, default: 0], expected: expected))
      }
    }
    try file.commit(durably: durably)
  }
}
