import LinearAlgebra
import Tensors

/// The weight that makes good what earlier layers lost, before it is compressed itself.
///
/// A layer that reads x̂ where the dense model reads x says what the dense one says, in the least
/// squares, with W* = W + (W·Σ(x − x̂)ᵀx̂ + Σ(h − ĥ)ᵀx̂)·(G + λI)⁻¹, G = Σx̂ᵀx̂: the asymmetric
/// calibration of GPTAQ (Li and others 2025, arXiv 2504.02692), solved in closed form; the second
/// term, for a layer whose output is added to a residual stream h, makes good the stream's error too.
public enum DriftCorrection {
  /// Less follows the calibration text where it says little, more leaves the drift as it is; the
  /// divergence hardly feels a factor of ten either way (docs/calibration.md).
  public static let defaultDamping = 0.1

  /// The corrected weight, out × in; (1) without drift it is the weight itself; (2) with more
  /// damping it is nearer to it.
  ///
  /// - Parameters:
  ///   - gram: Σ x̂ᵀx̂, in × in.
  ///   - inputs: Σ (x − x̂)ᵀx̂, in × in.
  ///   - stream: Σ (h − ĥ)ᵀx̂, out × in; nil when the output goes elsewhere.
  ///   - damping: λ relative to G's mean diagonal.
  /// - Throws: `QuantizationError`.
  public static func target(
    _ weight: Matrix<Float>, gram: Matrix<Double>, inputs: Matrix<Double>,
    stream: Matrix<Double>?, damping: Double = defaultDamping, pool: WorkerPool = .serial
  ) throws(QuantizationError) -> Matrix<Float> {
    let columns = weight.columns
    guard gram.rows == columns, inputs.rows == columns, inputs.columns == columns,
      stream.map({ $0.rows == weight.rows && $0.columns == columns }) ?? true
    else {
      throw .statisticsMismatch(
        rows: weight.rows, columns: columns, gram: [gram.rows, gram.columns])
    }
    do {
      // An input that was never active has no say: a mean one on its diagonal leaves it alone.
      var damped = gram
      let mean = (0..<columns).reduce(0.0) { $0 + gram[$1, $1] } / Double(max(columns, 1))
      guard mean > 0, mean.isFinite else { return weight }
      for index in 0..<columns where !(gram[index, index] > 0) { damped[index, index] = mean }
      let factor = try Cholesky.factor(damped, damping: damping).factor
      let tiles = try pool.map((weight.rows + tileRows - 1) / tileRows) { tile in
        let rows = tile * tileRows..<min((tile + 1) * tileRows, weight.rows)
        return try corrected(weight, rows, inputs, stream, factor)
      }
      let values = tiles.flatMap { $0 }
      guard values.allSatisfy(\.isFinite) else {
        throw QuantizationError.overflow(operation: "drift correction")
      }
      return Matrix(rows: weight.rows, columns: columns, values: values)
    } catch let error as QuantizationError {
      throw error
    } catch let error as LinearAlgebraError {
      throw .linearAlgebra(error)
    } catch {
      throw .overflow(operation: "drift correction: \(error)")
    }
  }
  private static let tileRows = 128

  /// Some rows of the corrected weight.
  private static func corrected(
    _ weight: Matrix<Float>, _ rows: Range<Int>, _ inputs: Matrix<Double>,
    _ stream: Matrix<Double>?, _ factor: Matrix<Double>
  ) throws -> [Float] {
    let columns = weight.columns
    let range = rows.lowerBound * columns..<rows.upperBound * columns
    let own = weight.values[range]
    var right = try Gemm.product(
      Matrix(rows: rows.count, columns: columns, values: own.map(Double.init)), inputs)
    if let stream {
      right = Matrix(
        rows: rows.count, columns: columns,
        values: zip(right.values, stream.values[range]).map { $0 + $1 })
    }
    let half = try Triangular.solve(right, byInverseOf: factor, .lower, transposed: true)
    let change = try Triangular.solve(half, byInverseOf: factor, .lower)
    return zip(own, change.values).map { Float(Double($0) + $1) }
  }
}
