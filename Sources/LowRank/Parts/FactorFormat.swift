import LinearAlgebra
import Tensors
import Weights

/// What factors are stored as.
public enum FactorFormat: Sendable, Hashable {
  /// f32, f16 or bf16.
  case dense(DType)
  /// Codes on a symmetric grid: A in groups along the inputs, B in groups along the rank.
  case integer(bits: Int)
  /// NF4's sixteen values, groups as for integers.
  case normalFloat4

  /// Inputs of A that share a scale.
  static let groupOfA = 64
  /// Directions of B that share a scale.
  static let groupOfB = 32

  /// Bytes of a pair of factors, exact.
  public func bytes(rows: Int, columns: Int, rank: Int) -> Int {
    func part(_ rows: Int, _ columns: Int, _ group: Int) -> Int {
      let bits =
        switch self {
        case .dense(let type): 8 * type.bytes
        case .integer(let bits): bits
        case .normalFloat4: NumberFormat.normalFloat4.bits
        }
      if case .dense = self { return rows * columns * bits / 8 }
      let scales =
        switch GroupFallback.resolve(requested: group, columns: columns).granularity {
        case .group(let length): columns / length
        default: 1
        }
      return rows * ((columns * bits + 7) / 8 + 2 * scales)
    }
    return part(rows, rank, Self.groupOfB) + part(rank, columns, Self.groupOfA)
  }

  /// A factor's codes; nil for formats that are none.
  fileprivate func codes(
    of matrix: Matrix<Float>, group: Int, pool: WorkerPool
  ) throws -> Base? {
    let granularity = GroupFallback.resolve(requested: group, columns: matrix.columns).granularity
    switch self {
    case .dense: return nil
    case .integer(let bits):
      let scheme = try IntegerScheme(
        bits: bits, symmetric: true, granularity: granularity, scaleType: .f16,
        clip: bits >= 8 ? .none : .meanSquare())
      return .integer(
        try IntegerBase.roundToNearest(matrix, scheme: scheme, mask: nil, pool: pool))
    case .normalFloat4:
      let scheme = try TableScheme(
        TableGrid(format: .normalFloat4, granularity: granularity, scaleFormat: .f16))
      return .table(try TableBase.roundToNearest(matrix, scheme: scheme, pool: pool))
    }
  }
}

extension FactorFormat: CustomStringConvertible {
  public var description: String {
    switch self {
    case .dense(let type): type.rawValue
    case .integer(let bits): "int\(bits)"
    case .normalFloat4: "nf4"
    }
  }
}

extension ThinFactors where S == Float {
  /// The factors in their stored form.
  ///
  /// Whoever takes a residual takes it from the decoded path, never from the factors before
  /// rounding (low-rank.md §1.6). Codes go on columns of one length, since a row of B holds
  /// directions of very different weight when balanced; and A is fitted once more to the B that was
  /// stored, A = (BᵀB)⁻¹BᵀT, the best for any weighting.
  ///
  /// - Parameter target: what the product approximates; nil leaves A as it is.
  /// - Throws: `WeightsError.factorTypeUnsupported`, `.bitsOutOfRange`, `.valueNotFinite`.
  public func path(
    as format: FactorFormat, target: Matrix<Float>? = nil, pool: WorkerPool = .serial
  ) throws -> LowRankPath {
    let path: LowRankPath
    switch format {
    case .dense(let type):
      guard [.f32, .f16, .bf16].contains(type) else {
        throw WeightsError.factorTypeUnsupported(type)
      }
      path = LowRankPath(
        b: .dense(b, as: type), a: .dense(a, as: type), scale: Float(scale))
    case .integer, .normalFloat4:
      path = try quantized(as: format, target: target, pool: pool)
    }
    for (part, factor) in [("b", path.b), ("a", path.a)] {
      if let index = Finiteness.firstNonFinite(factor.decoded().values) {
        throw WeightsError.valueNotFinite(part: "low_rank/\(part)/values", index: index)
      }
    }
    return path
  }

  private func quantized(
    as format: FactorFormat, target: Matrix<Float>?, pool: WorkerPool
  ) throws -> LowRankPath {
    var lengths = [Double](repeating: 0, count: rank)
    for row in 0..<b.rows {
      for column in 0..<rank {
        lengths[column] +=
          Double(b.values[row * rank + column]) * Double(b.values[row * rank + column])
      }
    }
    lengths = lengths.map { $0.squareRoot() }
    let used = lengths.filter { $0 > 0 }
    let common = used.isEmpty ? 1 : used.reduce(0, +) / Double(used.count)
    let even = b.scalingColumns(by: lengths.map { $0 > 0 ? Float(common / $0) : 0 })
    func stored(_ matrix: Matrix<Float>, _ group: Int) throws -> Base {
      try format.codes(of: matrix, group: group, pool: pool) ?? .dense(matrix)
    }
    let storedB = try stored(even, FactorFormat.groupOfB)
    var right = a.scalingRows(by: lengths.map { Float($0 / common) })
    if let target, let fitted = try Self.fitted(storedB.decoded(), target, scale, pool) {
      right = fitted
    }
    return LowRankPath(
      b: storedB, a: try stored(right, FactorFormat.groupOfA), scale: Float(scale))
  }

  /// (BᵀB)⁻¹BᵀT/s; nil where B has lost its rank.
  private static func fitted(
    _ b: Matrix<Float>, _ target: Matrix<Float>, _ scale: Double, _ pool: WorkerPool
  ) throws -> Matrix<Float>? {
    let gram = try Syrk.gram(b.inDouble, pool: pool)
    guard let factor = try? Cholesky.factor(gram), factor.dampingUsed == 0 else { return nil }
    let right = try b.multiplied(by: target, transposeSelf: true, pool: pool).inDouble
    var solved = try Cholesky.solve(lower: factor.factor, right)
    if scale != 1 {
      solved = solved.scalingRows(by: [Double](repeating: 1 / scale, count: solved.rows))
    }
    return Matrix<Float>(rounding: solved)
  }
}
