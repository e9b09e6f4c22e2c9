import LinearAlgebra
import Tensors

/// One change of a tensor, seen as the matrix of its storage: outermost extent × all others.
///
/// A vector is a matrix of one column. All arithmetic is in f64.
public enum TensorOperation: Sendable, Hashable {
  /// Along which extent of the storage.
  public enum Axis: String, Sendable, Hashable {
    case outer, inner
  }

  /// Multiplies entry i along the axis by factors[i]; as many as the axis has entries.
  case scale(Axis, [Double])
  /// x ← x·Q for the run of entries along the axis that begins at `offset`.
  case rotate(Axis, offset: Int, HadamardRotation)
  /// Other values altogether, of a vector.
  case replace([Double])
  /// Adds numbers, of a vector.
  case add([Double])

  /// Whether rows of the storage can be changed one by one.
  var isRowwise: Bool {
    if case .rotate(.outer, _, _) = self { false } else { true }
  }

  /// What a log calls it.
  public var summary: String {
    switch self {
    case .scale(.outer, _): "outer extent scaled"
    case .scale(.inner, _): "inner extent scaled"
    case .rotate(.outer, _, _): "outer extent rotated"
    case .rotate(.inner, _, _): "inner extent rotated"
    case .replace: "replaced"
    case .add: "shifted"
    }
  }

  /// Changes some rows of the storage in place.
  ///
  /// - Parameter rows: their numbers; all of them for an operation that is not row by row.
  func apply(to matrix: inout Matrix<Double>, rows: Range<Int>) {
    let columns = matrix.columns
    switch self {
    case .scale(.outer, let factors):
      for (index, row) in rows.enumerated() {
        for place in matrix.range(ofRow: index) { matrix.values[place] *= factors[row] }
      }
    case .scale(.inner, let factors):
      precondition(factors.count == columns, "\(factors.count) factors for \(columns)")
      for index in 0..<rows.count {
        let start = index * columns
        for column in 0..<columns { matrix.values[start + column] *= factors[column] }
      }
    case .rotate(.inner, let offset, let rotation):
      matrix.values.withUnsafeMutableBufferPointer { values in
        guard let base = values.baseAddress else { return }
        for index in 0..<rows.count {
          rotation.apply(to: base + index * columns + offset, rows: 1)
        }
      }
    case .rotate(.outer, let offset, let rotation):
      var turned = matrix.transposed
      let width = turned.columns
      turned.values.withUnsafeMutableBufferPointer { values in
        guard let base = values.baseAddress else { return }
        for column in 0..<columns { rotation.apply(to: base + column * width + offset, rows: 1) }
      }
      matrix = turned.transposed
    case .replace(let new):
      for (index, row) in rows.enumerated() { matrix.values[index] = new[row] }
    case .add(let shift):
      for (index, row) in rows.enumerated() { matrix.values[index] += shift[row] }
    }
  }
}
