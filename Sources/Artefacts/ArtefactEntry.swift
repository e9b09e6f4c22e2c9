import Tensors

/// One dataset of an artefact: a payload's type, shape and hash, and where its bytes wait.
public struct ArtefactDataset: Sendable, Hashable {
  /// The path below the entry's group, such as "base/codes"; empty for a plain tensor.
  public var path: String
  public var dtype: DType
  public var shape: Shape
  public var attributes: [String: AttributeValue]
  /// SHA-256 of the bytes; nil when hashing was switched off.
  public var sha256: String?
  /// Where the bytes are: a part file and the offset in it.
  public var location: PartLocation

  public init(
    path: String, dtype: DType, shape: Shape, attributes: [String: AttributeValue] = [:],
    sha256: String?, location: PartLocation
  ) {
    self.path = path
    self.dtype = dtype
    self.shape = shape
    self.attributes = attributes
    self.sha256 = sha256
    self.location = location
  }

  /// The bytes that the payload takes.
  public var byteCount: Int { shape.elementCount * dtype.bytes }
}

/// Where a payload's bytes wait to be assembled.
public struct PartLocation: Sendable, Hashable {
  public var file: String
  public var offset: Int
  public init(file: String, offset: Int) {
    self.file = file
    self.offset = offset
  }
}

/// One tensor of the model, as it goes into an artefact.
public struct ArtefactEntry: Sendable, Hashable {
  public enum Content: Sendable, Hashable {
    /// A plain dataset.
    case tensor(ArtefactDataset)
    /// A group with the parts of a compressed weight and the attributes that describe them.
    case weight(attributes: [String: AttributeValue], datasets: [ArtefactDataset])
    /// The same object as another tensor's, stored once.
    case tied(to: String)
  }

  /// The attribute of a weight's group with the element type in the source checkpoint.
  public static let sourceTypeAttribute = "source_dtype"

  public var name: String
  public var content: Content

  public init(name: String, content: Content) {
    self.name = name
    self.content = content
  }

  /// The datasets, none for a tie.
  public var datasets: [ArtefactDataset] {
    switch content {
    case .tensor(let dataset): [dataset]
    case .weight(_, let datasets): datasets
    case .tied: []
    }
  }
}
