import Tensors

/// A weight as a sum of parts, seen through a site's input transforms.
///
///     y = (base ⊙ mask + outliers + Σ s·B·diag(σ)·A) · Q(T(x))
///
/// Q rounds the inputs where the site says so (`ActivationScheme`), and is nothing otherwise. The one
/// representation that every method returns, the writer stores, the forward pass multiplies by and
/// the zeroth-order trainer perturbs. Every part is `rows × columns` (out × in) and sees Q(T(x)),
/// but columns that are kept as outliers see T(x). Payloads are shared `Bytes`: two weights that hold the same object are tied.
public struct CompressedWeight: Sendable {
  /// How the checkpoint's tensor becomes out × in, and goes back.
  public let view: WeightView
  /// The main part; nil when factors alone stand for the weight.
  public var base: Base?
  /// Which entries of the base count; nil means all.
  public var mask: Mask?
  /// Columns kept in high precision; the base holds zeros there.
  public var outliers: Outliers?
  /// Low-rank paths, added up.
  public var lowRank: [LowRankPath]
  /// What happens to the inputs first; shared by the weights that read the same input.
  public var site: Site?

  public init(
    view: WeightView, base: Base? = nil, mask: Mask? = nil, outliers: Outliers? = nil,
    lowRank: [LowRankPath] = [], site: Site? = nil
  ) {
    self.view = view
    self.base = base
    self.mask = mask
    self.outliers = outliers
    self.lowRank = lowRank
    self.site = site
  }

  /// Output channels.
  public var rows: Int { view.rows }
  /// Input channels.
  public var columns: Int { view.columns }
}

/// The base of a weight, or one factor of a low-rank path: the same formats serve both.
public enum Base: Sendable {
  /// Plain numbers: f64, f32, f16 or bf16.
  case dense(DenseBase)
  /// Codes on an integer grid with scales and, when asymmetric, zero points.
  case integer(IntegerBase)
  /// A base and its mask together, only what the mask keeps being stored.
  case sparse(SparseBase)
  /// Codes of a table format (small floats, codebooks, ternary …) with scales.
  case table(TableBase)
  /// Blocks of ggml, as in a GGUF file.
  case blocks(BlockBase)
  /// Groups of inputs in several integer and table formats.
  case mixed(MixedBase)
  /// Sums of ±1 planes.
  case planes(PlaneBase)
}

/// Plain values, `rows × columns`, in a floating-point type.
public struct DenseBase: Sendable {
  public let values: Tensor
  public init(values: Tensor) {
    precondition(values.shape.rank == 2 && values.dtype.isFloatingPoint, "a dense base is a matrix")
    self.values = values
  }
}

/// Packed integer codes, `value = (code - zero) · scale`.
///
/// - codes: u8, `rows × ceil(columns·bits / 8)`: per row a stream of unsigned `bits`-wide codes,
///   least significant bit first, each row padded to a byte.
/// - scales: f32, f16 or bf16, `scaleRows × scaleColumns` of the grid; positive, finite, normal.
/// - zeros: u8, packed like codes with the same `bits`, `scaleRows × ceil(scaleColumns·bits / 8)`;
///   nil when symmetric: then zero is 2^(bits-1) everywhere.
public struct IntegerBase: Sendable {
  public let grid: IntegerGrid
  public let rows: Int
  public let columns: Int
  public var codes: Tensor
  public var scales: Tensor
  public var zeros: Tensor?

  public init(
    grid: IntegerGrid, rows: Int, columns: Int, codes: Tensor, scales: Tensor, zeros: Tensor?
  ) {
    self.grid = grid
    self.rows = rows
    self.columns = columns
    self.codes = codes
    self.scales = scales
    self.zeros = zeros
  }
}

/// Which entries of the base count.
public struct Mask: Sendable {
  /// One bit an entry, `rows × ceil(columns / 8)` u8, least significant bit first; 1 = kept.
  public let bits: Tensor
  /// What was asked of the mask; `validate` holds the bits to it.
  public var claim: SparsityClaim?

  public init(bits: Tensor, claim: SparsityClaim? = nil) {
    self.bits = bits
    self.claim = claim
  }
}

/// Whole columns kept beside the base.
public struct Outliers: Sendable {
  /// Column numbers, i32, ascending, without repeats.
  public let columns: Tensor
  /// Their values, `rows × columns.count`.
  public let values: Tensor
  public init(columns: Tensor, values: Tensor) {
    self.columns = columns
    self.values = values
  }
}

/// One path s · B · diag(σ) · A: B is `rows × rank`, A is `rank × columns`.
public struct LowRankPath: Sendable {
  public var b: Base
  public var a: Base
  /// Singular values kept apart, f32 of `rank`; nil when they are folded into the factors.
  public var sigma: Tensor?
  public var scale: Float
  public init(b: Base, a: Base, sigma: Tensor? = nil, scale: Float = 1) {
    self.b = b
    self.a = a
    self.sigma = sigma
    self.scale = scale
  }
}

/// What happens to an input before the weights that read it: T(x), applied in order, then rounding.
public struct Site: Sendable {
  public var transforms: [InputTransform]
  /// How T(x) is rounded; nil: not at all.
  public var activations: ActivationScheme?
  public init(transforms: [InputTransform] = [], activations: ActivationScheme? = nil) {
    self.transforms = transforms
    self.activations = activations
  }
}

/// One step of T, over a row x of `columns` inputs.
public enum InputTransform: Sendable {
  /// x[j] / scale[j]; f32, positive and finite.
  case scale(Tensor)
  /// x[index[j]] becomes entry j; i32, a permutation.
  case permutation(Tensor)
  /// x·Q, a randomized Hadamard rotation.
  case hadamard(HadamardTransform)
}
