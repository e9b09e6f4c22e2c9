import Tensors

extension GGUFCheckpoint {
  /// A matrix as the file holds it: rows of blocks, out × in.
  public struct Blocks: Sendable {
    public let type: GGUFBlockType
    public let rows: Int
    public let columns: Int
    /// Rows in the checkpoint's order.
    public let bytes: Bytes
    /// Whether the checkpoint's tensor has its axes the other way round.
    public let isTransposed: Bool
  }

  /// Whether a tensor is a matrix that blocks stand for.
  public func holdsBlocks(_ tensor: TensorDescription) -> Bool {
    guard let place = places[tensor.name] else { return false }
    return place.entry.type.blockLength > 1 && place.entry.shape.rank == 2
      && place.entry.shape.elementCount > 0
  }

  /// The blocks of a matrix; nil where values stand for themselves.
  ///
  /// - Throws: `CheckpointError` when the file ends early.
  public func blocks(of tensor: TensorDescription) throws(CheckpointError) -> Blocks? {
    guard holdsBlocks(tensor), let place = places[tensor.name] else { return nil }
    let entry = place.entry
    let all = try file.mapped(entry)
    var bytes = all
    if let order = place.rowOrder {
      let stride = entry.rowBytes
      bytes = all.withBuffer { source in
        Bytes(count: entry.byteCount) { target in
          for (index, row) in order.enumerated() {
            target[index * stride..<(index + 1) * stride].copyBytes(
              from: source[row * stride..<(row + 1) * stride])
          }
        }
      }
    }
    return Blocks(
      type: entry.type, rows: entry.rows, columns: entry.columns, bytes: bytes,
      isTransposed: place.isTransposed)
  }
}
