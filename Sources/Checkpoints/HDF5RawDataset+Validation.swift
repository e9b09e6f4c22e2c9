import Tensors

extension HDF5RawDataset {
  /// The dataset, when everything that it claims can be true.
  ///
  /// - Returns: the dataset, or why it is no tensor.
  /// - Throws: `.hdf5` with the claim that cannot be.
  func validated(
    path: String, attributes: [String: AttributeValue], in input: HDF5Range
  ) throws(CheckpointError) -> HDF5Child.Content {
    func refuse(_ problem: HDF5Problem) -> CheckpointError {
      .hdf5(path: input.path, problem)
    }
    guard externalFiles == 0 else { throw refuse(.externalData(dataset: path)) }
    guard layout != .virtual else { throw refuse(.virtualDataset(path)) }
    let stored: DType
    switch element {
    case .failure(let problem): return .other(reason: problem.reason)
    case .success(let dtype): stored = dtype
    }
    var attributes = attributes
    let dtype = try named(stored, &attributes, path: path, file: input.path)
    guard let layout, let space, let shape = checkedShape(space),
      let bytes = try? shape.byteCount(of: dtype)
    else { throw refuse(.overflowingShape(dataset: path, extents: extents)) }

    func dataset(
      _ storage: TensorStorage, _ decoding: HDF5Decoding = .none, _ range: Range<Int>? = nil
    ) -> HDF5Child.Content {
      .dataset(
        HDF5Dataset(
          path: path, dtype: dtype, shape: shape, storage: storage, attributes: attributes,
          decoding: decoding, fileRange: range))
    }

    if bytes == 0 { return dataset(.empty) }
    if layout != .compact, bytes > HDF5Limits.unfilledBytes,
      UInt64(bytes) / UInt64(HDF5Limits.largestRatio) > storedBytes
    {
      throw refuse(
        .declaresMoreThanItStores(dataset: path, declared: bytes, stored: storedBytes))
    }
    switch layout {
    case .contiguous where !noOffset:
      guard storedBytes == UInt64(bytes) else {
        throw refuse(.storedSizeMismatch(dataset: path, expected: bytes, stored: storedBytes))
      }
      guard offset <= UInt64(input.range.count), bytes <= input.range.count - Int(offset) else {
        throw refuse(
          .outsideFile(
            dataset: path, offset: offset, bytes: bytes, fileBytes: input.range.count))
      }
      let start = input.range.lowerBound + Int(offset)
      let range = start..<start + bytes
      if isBigEndian {
        return dataset(.encoded("big-endian"), .swapping(offset: start), range)
      }
      let storage =
        input.isNamed
        ? TensorStorage.contiguous(file: input.path, offset: start)
        : .encoded("deflated archive")
      return dataset(storage, .copying(offset: start), range)
    case .contiguous:
      return dataset(.encoded("never filled"), .library(address: address, chunkRows: shape.rows))
    case .compact:
      return dataset(
        .encoded("compact" + order), .library(address: address, chunkRows: shape.rows))
    case .chunked, .virtual:
      let chunkRows = try checkedChunkRows(path, dtype, shape, file: input.path)
      let extents = chunk.map(String.init).joined(separator: " × ")
      let filters = filters.isEmpty ? "" : ", " + filters
      return dataset(
        .encoded("chunks of \(extents)\(filters)\(order)"),
        .library(address: address, chunkRows: chunkRows))
    }
  }

  private var order: String { isBigEndian ? ", big-endian" : "" }

  private func checkedShape(_ space: Space) -> Shape? {
    if space == .null { return [0] }
    if space == .scalar { return [] }
    var dimensions: [Int] = []
    for extent in extents {
      guard let extent = Int(exactly: extent) else { return nil }
      dimensions.append(extent)
    }
    // A zero extent beside enormous ones has no elements, but its rows must not overflow either.
    guard (try? Shape(checking: dimensions.map { max($0, 1) })) != nil else { return nil }
    return try? Shape(checking: dimensions)
  }

  /// The type that an attribute `dtype` names: HDF5 1.10 has none for bfloat16 and 8-bit floats.
  private func named(
    _ stored: DType, _ attributes: inout [String: AttributeValue], path: String, file: String
  ) throws(CheckpointError) -> DType {
    guard let name = attributes["dtype"]?.string, let dtype = DType(rawValue: name),
      HDF5ElementType.isNamedByAttribute(dtype), dtype != stored
    else { return stored }
    guard dtype.bytes == stored.bytes, !stored.isFloatingPoint else {
      throw .hdf5(
        path: file, .typeMismatch(dataset: path, named: name, elementBytes: stored.bytes))
    }
    attributes["dtype"] = nil
    return dtype
  }

  private func checkedChunkRows(
    _ path: String, _ dtype: DType, _ shape: Shape, file: String
  ) throws(CheckpointError) -> Int {
    let missing = filters.split(separator: ", ").first { $0.hasPrefix("!") }
    if let missing {
      throw .hdf5(
        path: file, .missingFilter(dataset: path, filter: "number " + missing.dropFirst()))
    }
    let dimensions = chunk.map { Int(clamping: $0) }
    guard chunk.count == shape.rank, !chunk.contains(0), let rows = dimensions.first,
      let bytes = try? Shape(checking: dimensions).byteCount(of: dtype),
      bytes <= HDF5Limits.chunkBytes
    else { throw .hdf5(path: file, .unusableChunks(dataset: path, extents: chunk)) }
    return min(rows, shape.rows)
  }
}
