import LinearAlgebra
import Tensors

/// MASA's form without training (low-rank.md §14).
///
/// One kind of weight over many layers as combinations of a few shared ones, W_l ≈ Σ_s c_ls·D_s. Its
/// refinement needs training.
public enum SharedAtoms {
  public struct Result: Sendable {
    /// As many matrices as were asked for, of the weights' size, orthonormal as vectors.
    public var atoms: [Matrix<Float>]
    /// c, a row for each layer.
    public var coefficients: Matrix<Double>
    /// Singular values of the stacked weights, descending.
    public var spectrum: [Double]

    /// One layer's weight.
    public func weight(layer: Int) -> Matrix<Float> {
      var result = Matrix<Float>(
        rows: atoms.first?.rows ?? 0, columns: atoms.first?.columns ?? 0, repeating: 0)
      for (index, atom) in atoms.enumerated() {
        let factor = Float(coefficients[layer, index])
        for place in atom.values.indices { result.values[place] += factor * atom.values[place] }
      }
      return result
    }
  }

  /// The best shared atoms in the sum of squared errors.
  ///
  /// By the L × L Gram matrix of the weights as vectors, in f64: nothing of the weights' own size
  /// squared is formed. (1) The squared error is the sum of the other σ²; (2) as many atoms as layers
  /// leave nothing; (3) layers that are alike need one.
  ///
  /// - Throws: `LowRankError.optionOutOfRange` for no weights, sizes that differ, or a count of atoms
  ///   beyond the layers'.
  public static func shared(_ weights: [Matrix<Float>], atoms count: Int) throws -> Result {
    guard let first = weights.first, (1...weights.count).contains(count),
      weights.allSatisfy({ $0.rows == first.rows && $0.columns == first.columns })
    else {
      throw LowRankError.optionOutOfRange(
        name: "shared atoms", value: "\(count) for \(weights.count) weights",
        allowed: "from 1 to the number of weights, all of one size")
    }
    let layers = weights.count
    var gram = Matrix<Double>(rows: layers, columns: layers, repeating: 0)
    for row in 0..<layers {
      for column in 0...row {
        var sum = 0.0
        for (left, right) in zip(weights[row].values, weights[column].values) {
          sum += Double(left) * Double(right)
        }
        gram[row, column] = sum
        gram[column, row] = sum
      }
    }
    let eigen = try SymmetricEigen.all(gram)
    let spectrum = eigen.values.map { max(0, $0).squareRoot() }
    // The roots of the Gram matrix's rounding.
    let cutoff = 1e-7 * (spectrum.first ?? 0)
    var coefficients = Matrix<Double>(rows: layers, columns: count, repeating: 0)
    var atoms: [Matrix<Float>] = []
    for index in 0..<count {
      var atom = [Double](repeating: 0, count: first.values.count)
      // An atom without any part in the weights is zero, and so are its coefficients.
      if spectrum[index] > cutoff {
        for layer in 0..<layers {
          let share = eigen.vectors[layer, index]
          coefficients[layer, index] = share * spectrum[index]
          for place in atom.indices {
            atom[place] += share / spectrum[index] * Double(weights[layer].values[place])
          }
        }
      }
      atoms.append(
        Matrix(rows: first.rows, columns: first.columns, values: atom.map { Float($0) }))
    }
    return Result(atoms: atoms, coefficients: coefficients, spectrum: spectrum)
  }
}
