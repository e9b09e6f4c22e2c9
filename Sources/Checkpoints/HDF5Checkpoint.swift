/// Opens whatever holds tensors as HDF5.
public enum HDF5Checkpoint {
  /// An HDF5 file, as Keras wrote it or anyone else, or a .keras archive.
  ///
  /// - Throws: `CheckpointError`, `.hdf5` or `.archive` where the file is to blame.
  public static func open(
    path: String, limits: HDF5Limits = HDF5Limits()
  ) throws(CheckpointError) -> any TensorSource {
    let file = try ReadOnlyFile(path: path)
    let head = try file.bytes(0..<min(file.size, 256))
    if FileSignature(head: head) == .zip { return try KerasSource(path: path, limits: limits) }
    let hdf5 = try HDF5File(path: path, limits: limits)
    if KerasSource.recognizes(hdf5) { return try KerasSource(file: hdf5) }
    return try HDF5Source(file: hdf5)
  }
}
