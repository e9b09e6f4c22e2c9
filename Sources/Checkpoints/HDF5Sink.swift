import Tensors

/// A tensor that is to be written.
public struct HDF5SinkTensor: Sendable, Hashable {
  public let name: String
  public let dtype: DType
  public let shape: Shape
  public let attributes: [String: AttributeValue]
  /// The tensor in the same file whose bytes these are too; it is written under that name.
  public let sharesStorageWith: String?

  public init(
    name: String, dtype: DType, shape: Shape, attributes: [String: AttributeValue] = [:],
    sharesStorageWith: String? = nil
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.attributes = attributes
    self.sharesStorageWith = sharesStorageWith
  }

  /// The tensor as a source described it.
  public init(_ description: TensorDescription) {
    self.init(
      name: description.name, dtype: description.dtype, shape: description.shape,
      attributes: description.attributes, sharesStorageWith: description.sharesStorageWith)
  }
}

/// An HDF5 file of tensors being written: its structure through libhdf5, its values by plain writes
/// at their offsets, from any thread.
public final class HDF5Sink: TensorSink {
  private let file: ReplacementFile
  private let places: [String: Range<Int>]

  /// Writes the structure beside the target and reserves its bytes on the disk.
  ///
  /// - Parameters:
  ///   - path: the target; untouched until `finish`.
  ///   - tensors: in the order that the file keeps; "/" in a name makes groups.
  ///   - attributes: of the root.
  /// - Throws: `.hdf5` with `.conflictingNames` or `.cannotName`, `.diskFull`, `.cannotWrite`.
  public convenience init(
    path: String, tensors: [HDF5SinkTensor], attributes: [String: AttributeValue] = [:]
  ) throws(CheckpointError) {
    try self.init(
      path: path, tree: HDF5TreeBuilder.tree(of: tensors, attributes: attributes, target: path))
  }

  /// Writes the structure of a tree, whose datasets are then the sink's tensors by their paths.
  public init(path: String, tree: HDF5Node) throws(CheckpointError) {
    file = try ReplacementFile(target: path)
    let skeleton = try HDF5TreeWriter.write(tree, to: file.temporaryPath, target: path)
    try file.reserve(bytes: skeleton.bytes)
    var places: [String: Range<Int>] = [:]
    HDF5TreeBuilder.visitDatasets(of: tree) { path, dtype, shape in
      let offset = skeleton.offsets[path] ?? 0
      places[path] = offset..<offset + shape.elementCount * dtype.bytes
    }
    HDF5TreeBuilder.visitLinks(of: tree) { path, other in places[path] = places[other] }
    self.places = places
  }

  public func write(
    _ bytes: UnsafeRawBufferPointer, to tensor: String, at byteOffset: Int
  ) throws(CheckpointError) {
    guard let place = places[tensor] else {
      throw .hdf5(path: file.target, .noSuchTensor(tensor))
    }
    precondition(
      byteOffset >= 0 && bytes.count <= place.count - byteOffset,
      "\(bytes.count) bytes at \(byteOffset) of '\(tensor)', which has \(place.count)")
    try file.write(bytes, at: place.lowerBound + byteOffset)
  }

  public func finish() throws(CheckpointError) { try file.commit() }
}
