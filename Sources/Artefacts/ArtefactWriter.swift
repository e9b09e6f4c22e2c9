import Checkpoints
import JSONText
import Tensors

/// Puts finished parts together to an artefact.
public enum ArtefactWriter {
  /// Bytes that are copied at once by one worker.
  private static let pieceBytes = 4 << 20

  /// Writes the artefact beside its target and renames it when it is complete.
  ///
  /// - Parameters:
  ///   - header: the root attributes.
  ///   - entries: every tensor of the model, in the model's order.
  ///   - target: the file to make or replace.
  ///   - workPath: where the bytes are until then; on the target's file system.
  ///   - durable: whether to flush to the disk before renaming.
  public static func assemble(
    header: ArtefactHeader, entries: [ArtefactEntry], target: String, workPath: String,
    durable: Bool, pool: WorkerPool
  ) throws {
    let file = try ReplacementFile(target: target, temporaryPath: workPath)
    // A full disk is told before libhdf5 meets it, which has no name for it.
    try file.reserve(bytes: entries.reduce(0) { $0 + $1.datasets.reduce(0) { $0 + $1.byteCount } })
    let skeleton = try HDF5TreeWriter.write(
      tree(header, entries), to: file.temporaryPath, target: target)
    try file.reserve(bytes: skeleton.bytes)
    try copy(pieces(entries, skeleton), to: file, pool: pool)
    try file.commit(durably: durable)
  }

  /// One run of bytes on its way from a part to its place.
  private struct Piece: Sendable {
    var source: PartLocation
    var target: Int
    var count: Int
  }

  private static func pieces(_ entries: [ArtefactEntry], _ skeleton: HDF5Skeleton) -> [Piece] {
    var pieces: [Piece] = []
    for entry in entries {
      for dataset in entry.datasets where dataset.byteCount > 0 {
        guard let offset = skeleton.offsets[path(of: dataset, in: entry)] else {
          preconditionFailure("the skeleton lacks '\(dataset.path)' of '\(entry.name)'")
        }
        for start in stride(from: 0, to: dataset.byteCount, by: pieceBytes) {
          pieces.append(
            Piece(
              source: PartLocation(
                file: dataset.location.file, offset: dataset.location.offset + start),
              target: offset + start, count: min(pieceBytes, dataset.byteCount - start)))
        }
      }
    }
    return pieces
  }

  private static func copy(
    _ pieces: [Piece], to file: ReplacementFile, pool: WorkerPool
  ) throws {
    try pool.forEach(pieces.count) { index in
      let piece = pieces[index]
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 64)
      defer { buffer.deallocate() }
      try ReadOnlyFile(path: piece.source.file).read(at: piece.source.offset, into: buffer)
      try file.write(UnsafeRawBufferPointer(buffer), at: piece.target)
    }
  }

  // MARK: The tree

  private static func group(of entry: ArtefactEntry, _ byName: [String: ArtefactEntry]) -> String {
    switch entry.content {
    case .tensor: return ArtefactFormat.tensorsGroup
    case .weight: return ArtefactFormat.weightsGroup
    case .tied(let name):
      // A tie points at a tensor that is stored: the first of its kind.
      guard let first = byName[name] else { return ArtefactFormat.tensorsGroup }
      return group(of: first, byName)
    }
  }

  private static func path(of dataset: ArtefactDataset, in entry: ArtefactEntry) -> String {
    let name = ArtefactFormat.escaped(entry.name)
    switch entry.content {
    case .weight: return "\(ArtefactFormat.weightsGroup)/\(name)/\(dataset.path)"
    default: return "\(ArtefactFormat.tensorsGroup)/\(name)"
    }
  }

  private static func tree(_ header: ArtefactHeader, _ entries: [ArtefactEntry]) -> HDF5Node {
    let byName = Dictionary(entries.map { ($0.name, $0) }) { first, _ in first }
    var children: [String: [HDF5NamedNode]] = [
      ArtefactFormat.tensorsGroup: [], ArtefactFormat.weightsGroup: [],
    ]
    for entry in entries {
      let name = ArtefactFormat.escaped(entry.name)
      let node: HDF5Node
      switch entry.content {
      case .tensor(let dataset): node = Self.node(dataset)
      case .weight(let attributes, let datasets):
        let parts = datasets.map { ($0.path.split(separator: "/").map(String.init), Self.node($0)) }
        node = .group(attributes: attributes, children: nested(parts))
      case .tied(let first):
        let group = Self.group(of: entry, byName)
        node = .hardLink(to: group + "/" + ArtefactFormat.escaped(first))
      }
      children[group(of: entry, byName), default: []].append(HDF5NamedNode(name, node))
    }
    var attributes = header.attributes
    attributes[ArtefactFormat.orderAttribute] = .string(
      JSONValue.array(entries.map { .string($0.name) }).text())
    return .group(
      attributes: attributes,
      children: children.sorted { $0.key < $1.key }.map {
        HDF5NamedNode($0.key, .group(attributes: [:], children: $0.value))
      })
  }

  private static func node(_ dataset: ArtefactDataset) -> HDF5Node {
    var attributes = dataset.attributes
    attributes[ArtefactFormat.hashAttribute] = dataset.sha256.map { .string($0) }
    return .dataset(dtype: dataset.dtype, shape: dataset.shape, attributes: attributes)
  }

  /// Groups within groups, from paths; children keep the order in which they first appear.
  private static func nested(_ parts: [(path: [String], node: HDF5Node)]) -> [HDF5NamedNode] {
    var order: [String] = []
    var below: [String: [(path: [String], node: HDF5Node)]] = [:]
    var leaves: [String: HDF5Node] = [:]
    for (path, node) in parts {
      guard let name = path.first else { continue }
      if leaves[name] == nil, below[name] == nil { order.append(name) }
      if path.count == 1 {
        leaves[name] = node
      } else {
        below[name, default: []].append((Array(path.dropFirst()), node))
      }
    }
    return order.map { name in
      HDF5NamedNode(
        name, leaves[name] ?? .group(attributes: [:], children: nested(below[name, default: []])))
    }
  }
}
