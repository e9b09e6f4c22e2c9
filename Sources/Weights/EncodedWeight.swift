import Tensors

/// A weight as named tensors with attributes: how an artefact stores it.
///
/// Paths are below the weight's own group: `base/values` or `base/codes`, `base/scales` and
/// `base/zeros` (table formats: `base/factors` instead), or `base/survivors` (with scales and zeros
/// when they are codes) and one of `base/kept/bitmap`, `base/kept/patterns`, `base/kept/gaps` and
/// `base/kept/counts`, or `base/members` with a base of its own in each `base/<n>/…`,
/// or `base/planes` and `base/scales`; `mask/bitmap`; `outliers/columns` and `outliers/values`; `low_rank/<n>/b/…`,
/// `low_rank/<n>/a/…` (as the base) and `low_rank/<n>/sigma`; `site/<n>/scale`,
/// `site/<n>/permutation` or `site/<n>/hadamard`. What is not there does not exist; anything else
/// is an error.
public struct EncodedWeight: Sendable {
  /// One tensor of the weight.
  public struct Part: Sendable {
    public let path: String
    public let tensor: Tensor
    public let attributes: [String: AttributeValue]
    public init(path: String, tensor: Tensor, attributes: [String: AttributeValue] = [:]) {
      self.path = path
      self.tensor = tensor
      self.attributes = attributes
    }
  }

  /// Attributes of the weight's group.
  public var attributes: [String: AttributeValue]
  /// The tensors, in the order in which they are written.
  public var parts: [Part]

  public init(attributes: [String: AttributeValue], parts: [Part]) {
    self.attributes = attributes
    self.parts = parts
  }

  /// The newest layout that this program writes and reads.
  public static let version = 2

  /// Names of attributes: one place for the writer and the reader.
  enum Name {
    static let version = "weight_version"
    static let sourceShape = "source_shape"
    static let layout = "source_layout"
    static let transforms = "transforms"
    static let lowRankScales = "low_rank_scales"
    static let bits = "bits"
    static let symmetric = "symmetric"
    static let granularity = "granularity"
    static let group = "group"
    static let columns = "columns"
    static let packing = "packing"
    static let rows = "rows"
    static let sparsity = "sparsity"
    static let keep = "keep"
    static let of = "of"
    static let factor = "factor"
    static let power = "power"
    static let format = "format"
    static let planes = "planes"
    static let exponent = "exponent"
    static let scaleFormat = "scale_format"
    static let scaleOffset = "scale_offset"
  }

  /// The packing of whole rows: per row a stream of unsigned codes, least significant bit first.
  static let packing = "lsb_first_rows"
  /// The packing of survivors: one stream without padding between rows.
  static let streamPacking = "lsb_first_stream"
}
