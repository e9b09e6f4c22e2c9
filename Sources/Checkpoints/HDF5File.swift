import Tensors

/// An HDF5 file that is open for reading.
///
/// libhdf5 walks the file in a child process, so that what crashes it does not end the program; the
/// walk's result is validated here. Contiguous values are then read without the library.
public final class HDF5File: Sendable {
  /// The file, as the user named it.
  public let path: String
  /// The file's objects.
  public let root: HDF5Group
  /// The datasets that hold numbers, in the file's order, second names included.
  public let tensors: [TensorDescription]
  /// The links that lead to no tensor, and why.
  public let skipped: [SkippedObject]

  let input: HDF5Range
  private let datasets: [String: HDF5Dataset]
  private let decoder: HDF5Decoder

  /// Opens and validates a file.
  ///
  /// - Throws: `CheckpointError`, `.hdf5` where the file is to blame.
  public convenience init(
    path: String, limits: HDF5Limits = HDF5Limits()
  ) throws(CheckpointError) {
    let file = try ReadOnlyFile(path: path)
    try self.init(HDF5Range(file: file, limits: limits))
  }

  /// Opens a part of a file: a member of an archive that is stored as it is.
  init(_ input: HDF5Range) throws(CheckpointError) {
    try HDF5Signature.check(input)
    let root = try HDF5Index.read(input)
    let listing = try HDF5Listing(root, file: input.path)
    self.path = input.path
    self.input = input
    self.root = root
    tensors = listing.tensors
    skipped = listing.skipped
    datasets = listing.datasets
    decoder = HDF5Decoder(input)
  }

  /// The dataset behind a tensor's name.
  public func dataset(_ name: String) -> HDF5Dataset? { datasets[name] }

  /// Reads rows of a tensor as little-endian bytes; see `TensorSource.read`.
  public func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let dataset = try known(tensor)
    let rowBytes = tensor.rowByteCount
    precondition(
      rows.lowerBound >= 0 && rows.upperBound <= tensor.shape.rows
        && target.count == rows.count * rowBytes, "rows \(rows) of '\(tensor.name)'")
    guard !target.isEmpty else { return }
    switch dataset.decoding {
    case .none: break
    case .copying(let offset):
      try input.file.read(at: offset + rows.lowerBound * rowBytes, into: target)
    case .swapping(let offset):
      try input.file.read(at: offset + rows.lowerBound * rowBytes, into: target)
      ByteOrder.swap(target, elementBytes: dataset.dtype.bytes)
    case .library(let address, let chunkRows):
      try decoder.read(
        dataset, address: address, chunkRows: chunkRows, rows: rows, into: target)
    }
  }

  /// The tensor's bytes by memory mapping; nil when they must be decoded.
  public func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    let dataset = try known(tensor)
    guard case .copying(let offset) = dataset.decoding else { return nil }
    return try input.file.map(offset..<offset + tensor.byteCount)
  }

  private func known(_ tensor: TensorDescription) throws(CheckpointError) -> HDF5Dataset {
    guard let dataset = datasets[tensor.name], dataset.shape == tensor.shape,
      dataset.dtype == tensor.dtype
    else { throw .hdf5(path: path, .noSuchTensor(tensor.name)) }
    return dataset
  }
}
