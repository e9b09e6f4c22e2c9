import CHDF5
import Tensors

/// What an HDF5 file is to hold, as a value.
public indirect enum HDF5Node: Sendable, Hashable {
  /// A group; its children keep this order in the file.
  case group(attributes: [String: AttributeValue], children: [HDF5NamedNode])
  /// A dataset whose values are written later.
  case dataset(dtype: DType, shape: Shape, attributes: [String: AttributeValue])
  /// A second name of the object at a path from the root.
  case hardLink(to: String)
}

/// A name in a group and what it stands for.
public struct HDF5NamedNode: Sendable, Hashable {
  public let name: String
  public let node: HDF5Node

  public init(_ name: String, _ node: HDF5Node) {
    self.name = name
    self.node = node
  }
}

/// Where the values of a tree's datasets belong.
public struct HDF5Skeleton: Sendable, Hashable {
  /// The byte offset of every dataset that has bytes, by its path from the root.
  public let offsets: [String: Int]
  /// The file's size.
  public let bytes: Int
}

/// Writes an HDF5 file's structure, and says where the values belong.
///
/// (1) The same tree gives the same bytes: no times, attributes in the order of their names.
/// (2) Values lie contiguous and little-endian, from 64 bytes on at multiples of 64 and from 64 KiB
/// on at multiples of 4096, so that they can be mapped. (3) The values' bytes are left as the file
/// system gives them: whoever calls writes all of them.
public enum HDF5TreeWriter {
  /// Datasets from this size on begin at a page.
  static let pageAlignedBytes = 64 << 10

  /// Writes the structure to a path, over what is there.
  ///
  /// - Parameters:
  ///   - root: a group.
  ///   - path: the file, usually a `ReplacementFile`'s temporary.
  ///   - target: what messages call the file.
  /// - Throws: `.hdf5` with `.conflictingNames`, `.cannotName`, `.missingLinkTarget` or
  ///   `.libraryRefused`.
  public static func write(
    _ root: HDF5Node, to path: String, target: String
  ) throws(CheckpointError) -> HDF5Skeleton {
    try check(root, target: target)
    return try HDF5Library.exclusively { () throws(CheckpointError) in
      var session = HDF5WritingSession(target: target)
      return try session.write(root, to: path)
    }
  }

  /// Makes sure that names are names, and that no two are the same.
  private static func check(_ root: HDF5Node, target: String) throws(CheckpointError) {
    var paths: Set<String> = []
    var links: [(link: String, target: String)] = []
    func visit(_ node: HDF5Node, _ path: String) throws(CheckpointError) {
      switch node {
      case .dataset: break
      case .hardLink(let other): links.append((path, other))
      case .group(_, let children):
        for child in children {
          guard isName(child.name) else {
            throw .hdf5(path: target, .cannotName(child.name))
          }
          let childPath = path.isEmpty ? child.name : path + "/" + child.name
          guard paths.insert(childPath).inserted else {
            throw .hdf5(path: target, .conflictingNames(childPath))
          }
          try visit(child.node, childPath)
        }
      }
    }
    try visit(root, "")
    let linkPaths = Set(links.map(\.link))
    for (link, other) in links where !paths.contains(other) || linkPaths.contains(other) {
      throw .hdf5(path: target, .missingLinkTarget(link: link, target: other))
    }
  }

  private static func isName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && !name.utf8.contains(0) && !name.utf8.contains(UInt8(ascii: "/"))
      && name.utf8.count <= 4096
  }
}
