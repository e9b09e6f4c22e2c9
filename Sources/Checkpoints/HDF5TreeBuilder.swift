import Tensors

/// Trees of groups made from flat lists of tensors.
enum HDF5TreeBuilder {
  /// A group being gathered: the order of the names, and what they stand for.
  private final class Draft {
    var names: [String] = []
    var groups: [String: Draft] = [:]
    var leaves: [String: HDF5Node] = [:]

    func node(_ attributes: [String: AttributeValue]) -> HDF5Node {
      .group(
        attributes: attributes,
        children: names.compactMap { name in
          if let group = groups[name] { return HDF5NamedNode(name, group.node([:])) }
          return leaves[name].map { HDF5NamedNode(name, $0) }
        })
    }
  }

  /// The tree whose datasets have the tensors' names as paths.
  static func tree(
    of tensors: [HDF5SinkTensor], attributes: [String: AttributeValue], target: String
  ) throws(CheckpointError) -> HDF5Node {
    let root = Draft()
    for tensor in tensors {
      var group = root
      let parts = tensor.name.split(separator: "/", omittingEmptySubsequences: false)
      guard let last = parts.last, !parts.contains("") else {
        throw .hdf5(path: target, .cannotName(tensor.name))
      }
      for part in parts.dropLast().map(String.init) {
        guard group.leaves[part] == nil else {
          throw .hdf5(path: target, .conflictingNames(tensor.name))
        }
        if let next = group.groups[part] {
          group = next
        } else {
          let next = Draft()
          group.groups[part] = next
          group.names.append(part)
          group = next
        }
      }
      let name = String(last)
      guard group.groups[name] == nil, group.leaves[name] == nil else {
        throw .hdf5(path: target, .conflictingNames(tensor.name))
      }
      group.names.append(name)
      group.leaves[name] =
        if let other = tensor.sharesStorageWith {
          .hardLink(to: other)
        } else {
          .dataset(dtype: tensor.dtype, shape: tensor.shape, attributes: tensor.attributes)
        }
    }
    return root.node(attributes)
  }

  /// Calls the closure with every dataset's path from the root.
  static func visitDatasets(of node: HDF5Node, _ body: (String, DType, Shape) -> Void) {
    visit(node, "") { path, node in
      if case .dataset(let dtype, let shape, _) = node { body(path, dtype, shape) }
    }
  }

  /// Calls the closure with every second name's path and the path that it stands for.
  static func visitLinks(of node: HDF5Node, _ body: (String, String) -> Void) {
    visit(node, "") { path, node in
      if case .hardLink(let other) = node { body(path, other) }
    }
  }

  private static func visit(_ node: HDF5Node, _ path: String, _ body: (String, HDF5Node) -> Void) {
    body(path, node)
    guard case .group(_, let children) = node else { return }
    for child in children {
      visit(child.node, path.isEmpty ? child.name : path + "/" + child.name, body)
    }
  }
}
