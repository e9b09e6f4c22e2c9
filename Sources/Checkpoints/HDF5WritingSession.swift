import CHDF5
import Tensors

/// One file being written through libhdf5; used under the library's lock.
///
/// A file has one alignment while it is open. So it is written twice: first the large datasets, at
/// pages, under names of their own; then all the rest, at multiples of 64, where the large datasets
/// get their names.
struct HDF5WritingSession {
  private let target: String
  /// Of datasets whose values the library is to compress; nil: contiguous, values come later.
  private var deflateLevel: UInt32?
  private(set) var file: hid_t = -1
  private var offsets: [String: Int] = [:]
  private var links: [(path: String, target: String)] = []
  /// Where the first pass put a large dataset, by its path.
  private var largeDatasets: [String: String] = [:]

  private static let largeGroup = ".large"

  init(target: String) { self.target = target }

  /// Writes the tree's structure.
  mutating func write(_ root: HDF5Node, to path: String) throws(CheckpointError) -> HDF5Skeleton {
    let format = root.needsNewerFormat ? H5F_LIBVER_V18 : H5F_LIBVER_EARLIEST
    try pass(
      alignment: 4096, from: HDF5TreeWriter.pageAlignedBytes, format,
      metadataBytes: 2048
    ) {
      (self, access) throws(CheckpointError) in
      try self.create(path, access)
      try self.writeLargeDatasets(root)
    }
    try pass(
      alignment: 64, from: 64, format, metadataBytes: root.objectCount * 256
    ) { (self, access) throws(CheckpointError) in
      self.file = try self.checked(
        H5Fopen(path, pith_hdf5_read_write(), access), "opening the file")
      try self.writeTree(root)
    }
    return HDF5Skeleton(offsets: offsets, bytes: try ReadOnlyFile(path: path).size)
  }

  private mutating func pass(
    alignment: Int, from threshold: Int, _ format: H5F_libver_t, metadataBytes: Int,
    _ body: (inout HDF5WritingSession, hid_t) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    let access = pith_hdf5_access_file_list()
    defer { H5Pclose(access) }
    pith_hdf5_unlock(access)
    H5Pset_libver_bounds(access, format, pith_hdf5_latest())
    H5Pset_alignment(access, hsize_t(threshold), hsize_t(alignment))
    // Metadata in blocks of its own, so that opening touches few pages; about what it will need,
    // because the rest of a block stays in the file.
    H5Pset_meta_block_size(access, hsize_t(min(1 << 20, max(2048, metadataBytes))))
    do {
      try body(&self, access)
    } catch {
      if file >= 0 { H5Fclose(file) }
      throw error
    }
    _ = try checked(H5Fclose(file), "closing the file")
    file = -1
  }

  private mutating func create(_ path: String, _ access: hid_t) throws(CheckpointError) {
    let creation = pith_hdf5_create_file_list()
    defer { H5Pclose(creation) }
    H5Pset_obj_track_times(creation, false)
    H5Pset_link_creation_order(creation, pith_hdf5_order_tracked())
    file = try checked(
      H5Fcreate(path, pith_hdf5_truncate(), creation, access), "creating the file")
  }

  // MARK: Large datasets

  private mutating func writeLargeDatasets(_ root: HDF5Node) throws(CheckpointError) {
    let group = try createGroup(Self.largeGroup, in: file)
    defer { H5Gclose(group) }
    try writeLargeDatasets(root, path: "", to: group)
  }

  private mutating func writeLargeDatasets(
    _ node: HDF5Node, path: String, to group: hid_t
  ) throws(CheckpointError) {
    switch node {
    case .hardLink: break
    case .group(_, let children):
      for child in children {
        try writeLargeDatasets(child.node, path: Self.join(path, child.name), to: group)
      }
    case .dataset(let dtype, let shape, _):
      let bytes = shape.elementCount.multipliedReportingOverflow(by: dtype.bytes)
      guard !bytes.overflow else {
        throw refused("allocating '\(path)'", reason: "\(shape) elements are too many")
      }
      guard bytes.partialValue >= HDF5TreeWriter.pageAlignedBytes else { return }
      let name = String(largeDatasets.count)
      let dataset = try createDataset(name, dtype, shape, in: group, path: path)
      H5Dclose(dataset)
      largeDatasets[path] = Self.largeGroup + "/" + name
    }
  }

  // MARK: The tree

  private mutating func writeTree(_ root: HDF5Node) throws(CheckpointError) {
    guard case .group(let attributes, let children) = root else {
      preconditionFailure("the root of an HDF5 file is a group")
    }
    let group = try checked(H5Gopen2(file, "/", pith_hdf5_default()), "opening the root")
    defer { H5Gclose(group) }
    try write(attributes, to: group, path: "")
    try write(children, to: group, path: "")
    for link in links {
      try self.link(link.target, as: link.path)
    }
    _ = try checked(H5Ldelete(file, Self.largeGroup, pith_hdf5_default()), "tidying up")
  }

  private mutating func write(
    _ children: [HDF5NamedNode], to group: hid_t, path: String
  ) throws(CheckpointError) {
    for child in children {
      let childPath = Self.join(path, child.name)
      switch child.node {
      case .hardLink(let other): links.append((childPath, other))
      case .group(let attributes, let children):
        let new = try createGroup(child.name, in: group)
        defer { H5Gclose(new) }
        try write(attributes, to: new, path: childPath)
        try write(children, to: new, path: childPath)
      case .dataset(let dtype, let shape, var attributes):
        if HDF5ElementType.isNamedByAttribute(dtype) {
          attributes["dtype"] = .string(dtype.rawValue)
        }
        let dataset: hid_t
        if let large = largeDatasets[childPath] {
          try link(large, as: childPath)
          dataset = try checked(
            H5Dopen2(file, childPath, pith_hdf5_default()), "opening '\(childPath)'")
        } else {
          dataset = try createDataset(child.name, dtype, shape, in: group, path: childPath)
        }
        defer { H5Dclose(dataset) }
        try write(attributes, to: dataset, path: childPath)
        if shape.elementCount > 0, deflateLevel == nil {
          offsets[childPath] = try offset(of: dataset, childPath)
        }
      }
    }
  }

  private func offset(of dataset: hid_t, _ path: String) throws(CheckpointError) -> Int {
    guard let offset = Int(exactly: H5Dget_offset(dataset)) else {
      throw refused("allocating '\(path)'", reason: HDF5Library.lastError)
    }
    return offset
  }

  private func createGroup(_ name: String, in parent: hid_t) throws(CheckpointError) -> hid_t {
    let creation = pith_hdf5_create_group_list()
    defer { H5Pclose(creation) }
    H5Pset_obj_track_times(creation, false)
    H5Pset_link_creation_order(creation, pith_hdf5_order_tracked())
    let names = linkList()
    defer { H5Pclose(names) }
    return try checked(
      H5Gcreate2(parent, name, names, creation, pith_hdf5_default()), "making the group '\(name)'")
  }

  private func createDataset(
    _ name: String, _ dtype: DType, _ shape: Shape, in group: hid_t, path: String
  ) throws(CheckpointError) -> hid_t {
    let type = HDF5ElementType.make(dtype)
    defer { H5Tclose(type) }
    let extents = shape.dimensions.map { hsize_t($0) }
    let space = try checked(
      shape.rank == 0
        ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(shape.rank), extents, nil),
      "describing the shape of '\(path)'")
    defer { H5Sclose(space) }
    let creation = pith_hdf5_create_dataset_list()
    defer { H5Pclose(creation) }
    if let deflateLevel, shape.rank > 0, shape.elementCount > 0 {
      let chunk = Self.chunk(of: shape, dtype).map { hsize_t($0) }
      H5Pset_chunk(creation, Int32(shape.rank), chunk)
      // Bytes of like weight side by side: floats shrink by it, codes stay.
      H5Pset_shuffle(creation)
      H5Pset_deflate(creation, deflateLevel)
    } else {
      H5Pset_layout(creation, H5D_CONTIGUOUS)
      H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY)
    }
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER)
    H5Pset_obj_track_times(creation, false)
    let names = linkList()
    defer { H5Pclose(names) }
    return try checked(
      H5Dcreate2(group, name, type, space, names, creation, pith_hdf5_default()),
      "making the dataset '\(path)'")
  }

  /// Whole rows, about a mebibyte of them.
  private static func chunk(of shape: Shape, _ dtype: DType) -> [Int] {
    var extents = shape.dimensions
    let row = extents.dropFirst().reduce(1, *) * dtype.bytes
    extents[0] = min(max(1, (1 << 20) / max(row, 1)), extents[0])
    return extents
  }

  // MARK: Compressed files

  /// Writes the tree's structure, and leaves the file open for `write(_:to:)`.
  mutating func open(
    _ root: HDF5Node, to path: String, deflateLevel: Int
  ) throws(CheckpointError) {
    self.deflateLevel = UInt32(deflateLevel)
    guard case .group(let attributes, let children) = root else {
      preconditionFailure("the root of an HDF5 file is a group")
    }
    let access = pith_hdf5_access_file_list()
    defer { H5Pclose(access) }
    pith_hdf5_unlock(access)
    let format = root.needsNewerFormat ? H5F_LIBVER_V18 : H5F_LIBVER_EARLIEST
    H5Pset_libver_bounds(access, format, pith_hdf5_latest())
    try create(path, access)
    let group = try checked(H5Gopen2(file, "/", pith_hdf5_default()), "opening the root")
    defer { H5Gclose(group) }
    try write(attributes, to: group, path: "")
    try write(children, to: group, path: "")
    for link in links { try self.link(link.target, as: link.path) }
  }

  /// Writes all values of a dataset.
  func write(
    _ bytes: UnsafeRawBufferPointer, _ dtype: DType, to path: String
  ) throws(CheckpointError) {
    let dataset = try checked(
      H5Dopen2(file, path, pith_hdf5_default()), "opening '\(path)'")
    defer { H5Dclose(dataset) }
    let type = HDF5ElementType.make(dtype)
    defer { H5Tclose(type) }
    // Both dataspaces are the dataset's own: H5S_ALL, a macro that Swift does not see.
    let all: hid_t = 0
    _ = try checked(
      H5Dwrite(dataset, type, all, all, pith_hdf5_default(), bytes.baseAddress),
      "writing '\(path)'")
  }

  mutating func close() throws(CheckpointError) {
    guard file >= 0 else { return }
    let closing = file
    file = -1
    _ = try checked(H5Fclose(closing), "closing the file")
  }

  private func link(_ existing: String, as path: String) throws(CheckpointError) {
    let names = linkList()
    defer { H5Pclose(names) }
    _ = try checked(
      H5Lcreate_hard(file, existing, file, path, names, pith_hdf5_default()),
      "making '\(path)' a second name")
  }

  private func linkList() -> hid_t {
    let list = pith_hdf5_create_link_list()
    H5Pset_char_encoding(list, H5T_CSET_UTF8)
    return list
  }

  private static func join(_ group: String, _ name: String) -> String {
    group.isEmpty ? name : group + "/" + name
  }

  // MARK: Failures

  func checked<Value: SignedInteger>(
    _ value: Value, _ doing: String
  ) throws(CheckpointError) -> Value {
    guard value >= 0 else { throw refused(doing, reason: HDF5Library.lastError) }
    return value
  }

  func refused(_ doing: String, reason: String) -> CheckpointError {
    .hdf5(path: target, .libraryRefused(doing: doing, reason: reason))
  }
}
