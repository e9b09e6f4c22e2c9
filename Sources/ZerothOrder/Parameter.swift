import Tensors
import Weights

/// What may be tuned; codes never are.
public enum ParameterKind: String, Sendable, Hashable, CaseIterable {
  /// Group scales of codes (QZO).
  case scales
  /// Zero points of codes: integers, the rounded values of coordinates between them.
  case zeros
  /// Values of columns kept in high precision (OWQ's weak columns).
  case outliers
  /// Both factors of every low-rank path.
  case lowRank = "low_rank"
  /// Singular values kept apart from their factors.
  case singularValues = "singular_values"
  /// Norms' weights and biases.
  case norms
  /// Linear layers' biases.
  case biases
  /// Weights that are plain numbers (MeZO).
  case dense
}

/// How a parameter's coordinate becomes its value.
public enum ParameterForm: String, Sendable, Hashable, CaseIterable {
  /// The value itself.
  case absolute
  /// value = start · exp(coordinate): always of one sign, and one step size for all.
  case logarithmic = "log"
}

/// One tensor that is tuned: its place in the model and in the vector of all coordinates.
public struct Parameter: Sendable, Hashable {
  /// Which part of a compressed weight, or a vector of its own.
  public enum Part: Sendable, Hashable {
    case scales, zeros, outliers, dense, vector
    case factorB(Int), factorA(Int), sigma(Int)
  }

  public let tensor: String
  public let part: Part
  public let kind: ParameterKind
  /// Its stream of random numbers: the place in the sorted list of names.
  public internal(set) var id: UInt32 = 0
  /// Its coordinates in the vector of all.
  public internal(set) var range: Range<Int> = 0..<0
  /// As a matrix; vectors have one row.
  public let rows: Int
  public let columns: Int
  /// The block that it belongs to; nil outside the blocks.
  public let block: Int?
  public let form: ParameterForm
  /// The element type that it is stored in.
  public let stored: DType
  /// The length of a coordinate's step: perturbations are epsilon · unit · z.
  public internal(set) var unit: Float = 1
  /// Of masked dense weights: only entries of at most this magnitude move (Sparse MeZO).
  public internal(set) var threshold: Float?

  public var count: Int { rows * columns }
  /// A name for logs: "model.layers.0.mlp.up_proj.weight/scales".
  public var name: String { tensor + "/" + part.name }
}

extension Parameter.Part {
  var name: String {
    switch self {
    case .scales: "scales"
    case .zeros: "zeros"
    case .outliers: "outliers"
    case .dense: "values"
    case .vector: "vector"
    case .factorB(let path): "low_rank/\(path)/b"
    case .factorA(let path): "low_rank/\(path)/a"
    case .sigma(let path): "low_rank/\(path)/sigma"
    }
  }

  var kind: ParameterKind {
    switch self {
    case .scales: .scales
    case .zeros: .zeros
    case .outliers: .outliers
    case .dense: .dense
    case .vector: .norms
    case .factorA, .factorB: .lowRank
    case .sigma: .singularValues
    }
  }
}

extension CompressedWeight {
  /// The parts that are continuous.
  var tunableParts: [Parameter.Part] {
    var result: [Parameter.Part] = []
    switch base {
    case .integer(let integer)?:
      result.append(.scales)
      if integer.zeros != nil { result.append(.zeros) }
    // Scales that are bytes of a code have nothing between them.
    case .table(let table)?:
      if table.grid.scaleFormat.isContinuous { result.append(.scales) }
    case .dense?: result.append(.dense)
    // Survivors are packed, ggml's blocks hold integers under f16 numbers: no coordinates at hand.
    case .sparse?, .blocks?, .mixed?, .planes?, nil: break
    }
    if let outliers, outliers.count > 0 { result.append(.outliers) }
    for (index, path) in lowRank.enumerated() {
      if case .dense = path.b { result.append(.factorB(index)) }
      if case .dense = path.a { result.append(.factorA(index)) }
      if path.sigma != nil { result.append(.sigma(index)) }
    }
    return result
  }

  /// The tensor of a continuous part.
  func tensor(of part: Parameter.Part) -> Tensor? {
    switch part {
    case .scales:
      switch base {
      case .integer(let integer)?: integer.scales
      case .table(let table)?: table.scales
      default: nil
      }
    case .zeros: if case .integer(let integer)? = base { integer.zeroValues } else { nil }
    case .dense: if case .dense(let dense)? = base { dense.values } else { nil }
    case .outliers: outliers?.values
    case .factorB(let index): Self.dense(lowRank[index].b)
    case .factorA(let index): Self.dense(lowRank[index].a)
    case .sigma(let index): lowRank[index].sigma
    case .vector: nil
    }
  }

  private static func dense(_ base: Base) -> Tensor? {
    if case .dense(let dense) = base { dense.values } else { nil }
  }

  /// Puts other values in the place of a part's; codes stay as they are.
  mutating func replace(_ part: Parameter.Part, with tensor: Tensor) {
    switch part {
    case .scales:
      if case .table(let table)? = base { base = .table(table.with(scales: tensor)) }
      guard case .integer(let integer)? = base else { return }
      let grid = IntegerGrid(
        bits: integer.grid.bits, symmetric: integer.grid.symmetric,
        granularity: integer.grid.granularity, scaleType: tensor.dtype)
      base = .integer(
        IntegerBase(
          grid: grid, rows: integer.rows, columns: integer.columns, codes: integer.codes,
          scales: tensor, zeros: integer.zeros))
    case .zeros:
      guard case .integer(let integer)? = base else { return }
      base = .integer(integer.with(zeros: tensor.floats()))
    case .dense: base = .dense(DenseBase(values: tensor))
    case .outliers:
      guard let old = outliers else { return }
      outliers = Outliers(columns: old.columns, values: tensor)
    case .factorB(let index): lowRank[index].b = .dense(DenseBase(values: tensor))
    case .factorA(let index): lowRank[index].a = .dense(DenseBase(values: tensor))
    case .sigma(let index): lowRank[index].sigma = tensor
    case .vector: break
    }
  }
}

extension IntegerBase {
  /// Zero points lie as the scales do, each row padded to whole bytes.
  private var zeroColumns: Int { max(scales.shape.dimensions.last ?? 1, 1) }

  /// Zero points as numbers, one a scale; nil on a symmetric grid.
  fileprivate var zeroValues: Tensor? {
    guard let zeros else { return nil }
    let columns = zeroColumns
    let rows = scales.shape.elementCount / columns
    let stride = PackedCodes.bytes(count: columns, bits: grid.bits)
    let values = zeros.bytes.withBuffer { buffer -> [Float] in
      (0..<rows).flatMap { row in
        PackedCodes.unpack(
          Array(buffer[row * stride..<(row + 1) * stride]), count: columns, bits: grid.bits
        ).map { Float($0) }
      }
    }
    return Tensor(dtype: .f32, shape: scales.shape, array: values)
  }

  /// The same codes under other zero points, rounded to the nearest that the grid has.
  fileprivate func with(zeros values: [Float]) -> IntegerBase {
    let columns = zeroColumns
    let top = Float(1 << grid.bits) - 1
    let packed = stride(from: 0, to: values.count, by: columns).flatMap { first -> [UInt8] in
      PackedCodes.pack(
        values[first..<first + columns].map { UInt8(min(max($0.rounded(), 0), top)) },
        bits: grid.bits)
    }
    return IntegerBase(
      grid: grid, rows: rows, columns: self.columns, codes: codes, scales: scales,
      zeros: zeros.map { Tensor(dtype: .u8, shape: $0.shape, array: packed) })
  }
}

extension ScaleFormat {
  /// Whether a scale is a number of its own.
  var isContinuous: Bool { self == .f32 || self == .f16 || self == .bf16 }

  /// The format of plain numbers of a type.
  fileprivate init(_ dtype: DType) {
    switch dtype {
    case .f16: self = .f16
    case .bf16: self = .bf16
    default: self = .f32
    }
  }
}

extension TableBase {
  /// The same codes under other plain scales.
  fileprivate func with(scales: Tensor) -> TableBase {
    // What was a grid before is one with other plain scales.
    let other = try? TableGrid(
      format: grid.format, granularity: grid.granularity,
      scaleFormat: ScaleFormat(scales.dtype), packing: grid.packing)
    return TableBase(
      grid: other ?? grid, rows: rows, columns: columns, codes: codes, scales: scales)
  }
}
