import Checkpoints
import Tensors
import Weights

/// One tensor of an artefact, its payloads mapped.
public struct StoredTensor: Sendable {
  public enum Kind: Sendable {
    case tensor(Tensor)
    case weight(CompressedWeight)
  }

  public var kind: Kind
  /// The shape and the element type in the source checkpoint.
  public var sourceShape: Shape
  public var sourceType: DType
  /// The name of the tensor that shares this one's storage and comes first.
  public var tiedTo: String?

  /// Bytes that the payloads take.
  public var byteCount: Int {
    switch kind {
    case .tensor(let tensor): tensor.bytes.count
    case .weight(let weight): weight.storedBytes
    }
  }

  /// What it is stored as, in a few words: "f32", "int4 g128 +r16".
  public var typeName: String {
    switch kind {
    case .tensor(let tensor): tensor.dtype.rawValue
    case .weight(let weight): weight.typeName
    }
  }
}

extension ArtefactFile {
  /// A tensor's payloads, every value in its range.
  ///
  /// - Throws: `ArtefactError.noSuchTensor`, or `.invalidWeight` with what is wrong with its parts.
  public func content(of name: String) throws -> StoredTensor {
    let place = try place(of: name)
    switch place.object {
    case .tensor(let dataset):
      return StoredTensor(
        kind: .tensor(try tensor(dataset)), sourceShape: dataset.shape, sourceType: dataset.dtype,
        tiedTo: place.tiedTo)
    case .weight(let group):
      let attribute = ArtefactEntry.sourceTypeAttribute
      guard let type = group.attributes[attribute]?.string else {
        throw ArtefactError.missingAttribute(
          path: path, object: group.path, attribute: attribute)
      }
      guard let dtype = DType(rawValue: type), dtype.isFloatingPoint else {
        throw ArtefactError.invalidAttribute(
          path: path, object: group.path, attribute: attribute, found: type)
      }
      let weight = try decoded(group, name: name)
      return StoredTensor(
        kind: .weight(weight), sourceShape: weight.view.sourceShape, sourceType: dtype,
        tiedTo: place.tiedTo)
    }
  }

  /// Hands out the bytes of a plain tensor in pieces of whole rows, in order.
  ///
  /// They are read, not mapped: pages of a mapping would count as this process's memory, an
  /// embedding's twice while a model uses it.
  ///
  /// - Throws: `ArtefactError.noSuchTensor`, also for a compressed weight.
  public func forEachPiece(
    of name: String, maximumBytes: Int = 4 << 20, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    guard case .tensor(let dataset) = try place(of: name).object,
      let description = descriptions[dataset.path]
    else { throw ArtefactError.noSuchTensor(path: path, name: name) }
    let rows = description.shape.rows
    guard rows > 0, description.byteCount > 0 else { return }
    let rowBytes = description.byteCount / rows
    let step = max(1, maximumBytes / rowBytes)
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(step, rows) * rowBytes, alignment: 64)
    defer { buffer.deallocate() }
    for first in stride(from: 0, to: rows, by: step) {
      let last = min(first + step, rows)
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<(last - first) * rowBytes])
      try file.read(description, rows: first..<last, into: piece)
      try body(UnsafeRawBufferPointer(piece))
    }
  }

  private func decoded(_ group: HDF5Group, name: String) throws -> CompressedWeight {
    let encoded = EncodedWeight(
      attributes: group.attributes,
      parts: try datasets(of: group).map { path, dataset in
        EncodedWeight.Part(path: path, tensor: try tensor(dataset), attributes: dataset.attributes)
      })
    do {
      return try CompressedWeight(decoding: encoded)
    } catch {
      throw ArtefactError.invalidWeight(path: path, name: name, error)
    }
  }

  /// The datasets below a group, by their paths relative to it.
  func datasets(of group: HDF5Group, below prefix: String = "") throws -> [(String, HDF5Dataset)] {
    var result: [(String, HDF5Dataset)] = []
    for child in group.children {
      switch child.content {
      case .dataset(let dataset): result.append((prefix + child.name, dataset))
      case .group(let inner): result += try datasets(of: inner, below: prefix + child.name + "/")
      default:
        throw ArtefactError.unexpectedObject(
          path: path, object: group.path + "/" + child.name, expected: "a group or a dataset")
      }
    }
    return result
  }

  /// The metadata of the dense checkpoint that the artefact decodes to.
  public var denseMetadata: CheckpointMetadata {
    var metadata = CheckpointMetadata()
    // Under their file names companions' texts become files of a folder, or stay in one file.
    metadata.strings = header.sourceMetadata.merging(header.companions) { $1 }
    metadata.configuration = header.configuration
    return metadata
  }
}
