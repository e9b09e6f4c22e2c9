import LinearAlgebra
import Quantization
import Tensors

/// A Gram matrix whose loudest directions count as much as the next one after them.
///
/// What a text's first token leaves in the residual stream can be a hundred times louder than all
/// else and lie in one direction. What a pruned weight loses relative to its output then tells of
/// that token alone, is small wherever it is loud, and such layers would be pruned most. With
/// H = Σ λ_i·v_i·v_iᵀ, the first k of the λ_i are taken down to λ_(k+1).
struct TamedGram {
  private let gram: Matrix<Double>
  /// What is too much of each direction.
  private let excess: [Double]
  /// in × k.
  private let directions: Matrix<Float>

  /// How many directions are tamed: one in 64, at most 8.
  static func count(columns: Int) -> Int { min(8, max(1, columns / 64)) }

  init(_ gram: Matrix<Double>) throws {
    self.gram = gram
    let count = Self.count(columns: gram.columns)
    guard gram.columns > count else {
      (excess, directions) = ([], Matrix(rows: gram.columns, columns: 0, values: []))
      return
    }
    let found = try SVD.randomized(gram, rank: count + 1, seed: 0)
    let limit = found.singularValues[count]
    excess = found.singularValues.prefix(count).map { $0 - limit }
    var directions = Matrix<Float>(rows: gram.columns, columns: count, repeating: 0)
    for row in 0..<gram.columns {
      for index in 0..<count { directions[row, index] = Float(found.u[row, index]) }
    }
    self.directions = directions
  }

  /// tr(D·H·Dᵀ) with the directions tamed.
  func energy(of difference: Matrix<Float>) throws -> Double {
    let whole = try WeightedError.of(difference, gram: gram)
    guard !excess.isEmpty else { return whole }
    let along = try Gemm.product(difference, directions)
    var over = 0.0
    for row in 0..<along.rows {
      for (index, amount) in excess.enumerated() {
        over += amount * Double(along[row, index]) * Double(along[row, index])
      }
    }
    return max(0, whole - over)
  }
}
