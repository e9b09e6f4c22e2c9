import Kernels
import Tensors

/// A GGUF file as a checkpoint: names and axes as Hugging Face has them, blocks decoded to f32.
public struct GGUFCheckpoint: TensorSource {
  public var path: String { file.path }
  public var format: String { "GGUF" }
  public let tensors: [TensorDescription]
  public let metadata: CheckpointMetadata
  public let file: GGUFFile
  let places: [String: Place]

  /// Where a tensor lies, and how its rows and axes change places.
  struct Place: Sendable {
    var entry: GGUFFile.Entry
    /// For each row of the checkpoint's tensor, the file's.
    var rowOrder: [Int]?
    var isTransposed: Bool
  }

  /// Opens a file; values are decoded when they are read.
  ///
  /// - Throws: `CheckpointError.gguf`.
  public init(path: String) throws(CheckpointError) {
    let file = try GGUFFile(path: path)
    let architecture = file["general.architecture"]?.string ?? ""
    let heads = file[architecture + ".attention.head_count"]?.int ?? 0
    let naming = GGUFNaming(
      architecture: architecture, heads: heads,
      keyValueHeads: file[architecture + ".attention.head_count_kv"]?.int ?? heads)
    var tensors: [TensorDescription] = []
    var places: [String: Place] = [:]
    for entry in file.entries {
      guard let place = naming.place(of: entry.name) else { continue }
      let isTransposed = place.isTransposed && entry.shape.rank == 2
      let extents = entry.shape.dimensions
      let shape = isTransposed ? Shape(extents.reversed()) : entry.shape
      let name = places[place.name] == nil ? place.name : entry.name
      places[name] = Place(
        entry: entry,
        rowOrder: place.rotaryHeads.flatMap { Self.rotaryOrder(rows: extents[0], heads: $0) },
        isTransposed: isTransposed)
      tensors.append(
        TensorDescription(
          name: name, dtype: Self.dtype(of: entry.type), shape: shape,
          storage: shape.elementCount == 0 ? .empty : .encoded(entry.type.name)))
    }
    self.file = file
    self.tensors = tensors
    self.places = places
    var metadata = CheckpointMetadata()
    metadata.configuration = GGUFConfiguration.json(file)
    metadata.strings = GGUFConfiguration.tokenizer(file)
    if let name = file["general.name"]?.string { metadata.strings["name"] = name }
    self.metadata = metadata
  }

  /// The type of decoded values.
  private static func dtype(of type: GGUFBlockType) -> DType {
    switch type {
    case .f16: .f16
    case .bf16: .bf16
    default: .f32
    }
  }

  /// Row j·d/2 + i of a head is row 2i + j of the file's; nil where heads do not divide the rows.
  private static func rotaryOrder(rows: Int, heads: Int) -> [Int]? {
    guard heads > 0, rows % heads == 0, rows / heads % 2 == 0 else { return nil }
    let width = rows / heads
    return (0..<rows).map { row in
      let (head, index) = row.quotientAndRemainder(dividingBy: width)
      return head * width + index % (width / 2) * 2 + index / (width / 2)
    }
  }

  public func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    precondition(target.count == rows.count * tensor.rowByteCount, "bytes for \(rows)")
    guard let place = places[tensor.name], let start = target.baseAddress else { return }
    let entry = place.entry
    if place.isTransposed {
      try readTransposed(entry, rows: rows, dtype: tensor.dtype, into: start)
      return
    }
    // A vector is one row of the file and many of a tensor.
    guard entry.shape.rank >= 2 else {
      let all = try decoded(entry, rows: 0..<entry.rows)
      all.withUnsafeBytes { values in
        target.copyMemory(
          from: UnsafeRawBufferPointer(
            rebasing: values[
              rows.lowerBound * tensor.rowByteCount..<rows.upperBound * tensor.rowByteCount]))
      }
      return
    }
    let lines = entry.rows / max(tensor.shape.rows, 1)
    guard let order = place.rowOrder else {
      try decode(entry, rows: rows.lowerBound * lines..<rows.upperBound * lines, into: start)
      return
    }
    let stride = tensor.rowByteCount
    for (index, row) in rows.enumerated() {
      try decode(entry, rows: order[row]..<order[row] + 1, into: start + index * stride)
    }
  }

  public func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    guard let place = places[tensor.name], place.rowOrder == nil, !place.isTransposed,
      place.entry.type.blockLength == 1
    else { return nil }
    return try file.mapped(place.entry)
  }

  private func decoded(
    _ entry: GGUFFile.Entry, rows: Range<Int>
  ) throws(CheckpointError) -> [UInt8] {
    let size = Self.dtype(of: entry.type).bytes
    var bytes = [UInt8](repeating: 0, count: rows.count * entry.columns * size)
    let result = bytes.withUnsafeMutableBytes { target in
      Result { () throws(CheckpointError) in
        if let start = target.baseAddress { try decode(entry, rows: rows, into: start) }
      }
    }
    try result.get()
    return bytes
  }

  /// Rows of the file as values.
  private func decode(
    _ entry: GGUFFile.Entry, rows: Range<Int>, into target: UnsafeMutableRawPointer
  ) throws(CheckpointError) {
    let count = rows.count * entry.rowBytes
    guard let type = entry.type.kernelType else {
      try file.read(
        entry, rows: rows, into: UnsafeMutableRawBufferPointer(start: target, count: count))
      return
    }
    let blocks = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
    defer { blocks.deallocate() }
    try file.read(
      entry, rows: rows, into: UnsafeMutableRawBufferPointer(start: blocks, count: count))
    pith_decode_blocks(
      type, blocks, count / entry.type.blockBytes, target.assumingMemoryBound(to: Float.self))
  }

  /// Rows of the checkpoint are columns of the file.
  private func readTransposed(
    _ entry: GGUFFile.Entry, rows: Range<Int>, dtype: DType, into target: UnsafeMutableRawPointer
  ) throws(CheckpointError) {
    let all = try decoded(entry, rows: 0..<entry.rows)
    let (outputs, inputs, size) = (entry.rows, entry.columns, dtype.bytes)
    all.withUnsafeBytes { source in
      guard let from = source.baseAddress else { return }
      for (index, row) in rows.enumerated() {
        for output in 0..<outputs {
          (target + (index * outputs + output) * size).copyMemory(
            from: from + (output * inputs + row) * size, byteCount: size)
        }
      }
    }
  }
}
