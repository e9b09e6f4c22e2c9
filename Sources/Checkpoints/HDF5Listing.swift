import Tensors

/// The tensors of a file as a flat list.
struct HDF5Listing {
  private(set) var tensors: [TensorDescription] = []
  private(set) var skipped: [SkippedObject] = []
  /// The dataset of every name, second names included.
  private(set) var datasets: [String: HDF5Dataset] = [:]

  /// Where groups have several names, their tensors multiply; no checkpoint has so many.
  private static let limit = 1 << 17

  private let root: HDF5Group
  private let file: String
  private var objects: [String: HDF5Child.Content] = [:]
  private var firstNames: [String: String] = [:]
  private var open: [String] = []
  private var visits = 0

  init(_ root: HDF5Group, file: String) throws(CheckpointError) {
    self.root = root
    self.file = file
    gather(root)
    try list(root, prefix: "")
  }

  private mutating func gather(_ group: HDF5Group) {
    for child in group.children {
      let path = group.path.isEmpty ? child.name : group.path + "/" + child.name
      switch child.content {
      case .group(let group):
        objects[path] = child.content
        gather(group)
      case .dataset: objects[path] = child.content
      default: break
      }
    }
  }

  private mutating func list(_ group: HDF5Group, prefix: String) throws(CheckpointError) {
    open.append(group.path)
    defer { open.removeLast() }
    for child in group.children {
      try list(child.content, name: prefix.isEmpty ? child.name : prefix + "/" + child.name)
    }
  }

  private mutating func list(
    _ content: HDF5Child.Content, name: String
  ) throws(CheckpointError) {
    visits += 1
    guard visits <= Self.limit else {
      throw .hdf5(path: file, .tooManyObjects(limit: Self.limit))
    }
    switch content {
    case .other(let reason): skipped.append(SkippedObject(name: name, reason: reason))
    case .group(let group): try list(group, prefix: name)
    case .dataset(let dataset):
      datasets[name] = dataset
      let first = firstNames[dataset.path]
      if first == nil { firstNames[dataset.path] = name }
      tensors.append(
        TensorDescription(
          name: name, dtype: dataset.dtype, shape: dataset.shape, storage: dataset.storage,
          sharesStorageWith: first, attributes: dataset.attributes))
    case .alias(let path):
      // A link to a group that encloses it would unfold for ever.
      if open.contains(path) {
        skipped.append(
          SkippedObject(
            name: name, reason: "it leads back to \(HDF5Problem.named(path)), which encloses it"))
      } else if let target = objects[path] {
        try list(target, name: name)
      } else {
        skipped.append(
          SkippedObject(name: name, reason: "it is a second name of '\(path)', no tensor"))
      }
    }
  }
}
