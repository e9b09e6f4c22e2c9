import Tensors

/// One safetensors file, open for reading and validated as `SafetensorsHeader` says.
public struct SafetensorsSource: TensorSource {
  public let path: String
  public var format: String { "safetensors" }
  /// The tensors in order of their offsets.
  public let tensors: [TensorDescription]
  public let metadata: CheckpointMetadata
  private let file: ReadOnlyFile

  /// Opens a file and validates its header; the data is not touched.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - findingCompanions: whether config.json, tokenizer.json and the like are looked for in the
  ///     file's folder.
  /// - Throws: `CheckpointError`, a case per way in which a header can be wrong.
  public init(path: String, findingCompanions: Bool = true) throws(CheckpointError) {
    let file = try ReadOnlyFile(path: path)
    let header = try SafetensorsHeader(reading: file)
    var metadata = CheckpointMetadata()
    metadata.strings = header.metadata
    if findingCompanions { try metadata.findCompanions(besideFile: path) }
    self.path = path
    self.file = file
    self.metadata = metadata
    tensors = header.entries.map { entry in
      TensorDescription(
        name: entry.name, dtype: entry.dtype, shape: entry.shape,
        storage: entry.range.isEmpty
          ? .empty
          : .contiguous(file: path, offset: header.dataOffset + entry.range.lowerBound))
    }
  }

  public func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    precondition(
      rows.lowerBound >= 0 && rows.upperBound <= tensor.shape.rows, "rows \(rows) of \(tensor)")
    precondition(target.count == rows.count * tensor.rowByteCount, "bytes for \(rows)")
    guard case .contiguous(_, let offset) = tensor.storage else { return }
    try file.read(at: offset + rows.lowerBound * tensor.rowByteCount, into: target)
  }

  /// The tensor's bytes by memory mapping; never nil.
  ///
  /// Offsets need not be multiples of the element size: load elements unaligned.
  public func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    guard case .contiguous(_, let offset) = tensor.storage else { return Bytes([UInt8]()) }
    return try file.map(offset..<offset + tensor.byteCount)
  }
}
