import Tensors

/// A group of an HDF5 file, as it was found.
public struct HDF5Group: Sendable, Hashable {
  /// The names from the root, joined by "/"; empty for the root.
  public let path: String
  /// The attributes that are numbers or texts.
  public let attributes: [String: AttributeValue]
  /// What the group links to, in the order of creation where the file keeps it, else by name.
  public let children: [HDF5Child]

  /// The child of a name.
  public func child(_ name: String) -> HDF5Child? { children.first { $0.name == name } }

  /// The group at names joined by "/" below this one.
  public func group(_ path: String) -> HDF5Group? {
    var group = self
    for name in path.split(separator: "/") {
      guard case .group(let next)? = group.child(String(name))?.content else { return nil }
      group = next
    }
    return group
  }
}

/// A link of a group and what it leads to.
public struct HDF5Child: Sendable, Hashable {
  /// What a link leads to.
  public enum Content: Sendable, Hashable {
    case group(HDF5Group)
    case dataset(HDF5Dataset)
    /// A second name (a hard or a soft link) of the object whose path from the root is given.
    case alias(of: String)
    /// Not a tensor: texts, records, references, links that lead nowhere; with the reason.
    case other(reason: String)
  }

  public let name: String
  public let content: Content
}

/// A dataset whose values are numbers.
public struct HDF5Dataset: Sendable, Hashable {
  /// The names from the root, joined by "/".
  public let path: String
  public let dtype: DType
  /// A null dataspace counts as an extent of 0.
  public let shape: Shape
  public let storage: TensorStorage
  public let attributes: [String: AttributeValue]
  /// How the values are read when `storage` says that they must be decoded.
  let decoding: HDF5Decoding
  /// The bytes that are the dataset's own in the file; nil when they are not in one run.
  let fileRange: Range<Int>?
}

/// How a dataset's values become little-endian bytes.
enum HDF5Decoding: Sendable, Hashable {
  /// There are none.
  case none
  /// They are little-endian bytes in one run at this offset of the file.
  case copying(offset: Int)
  /// They are in one run at this offset of the file in the other byte order.
  case swapping(offset: Int)
  /// libhdf5 decodes them: the object's address and the rows that one chunk spans.
  case library(address: UInt64, chunkRows: Int)
}
