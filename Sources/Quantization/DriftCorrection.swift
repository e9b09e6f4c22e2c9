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
      var right = try Gemm.product(weight.converted(to: Double.self), inputs, pool: pool)
      if let stream {
        for index in right.values.indices { right.values[index] += stream.values[index] }
      }
      // An input that was never active has no say: 1 on its diagonal leaves its weights alone.
      var damped = gram
      let mean = (0..<columns).reduce(0.0) { $0 + gram[$1, $1] } / Double(max(columns, 1))
      guard mean > 0, mean.isFinite else { return weight }
      for index in 0..<columns where !(gram[index, index] > 0) { damped[index, index] = mean }
      let factor = try Cholesky.factor(damped, damping: damping).factor
      let half = try Triangular.solve(right, byInverseOf: factor, .lower, transposed: true)
      let change = try Triangular.solve(half, byInverseOf: factor, .lower)
      var result = weight
      for index in result.values.indices {
        result.values[index] = Float(Double(weight.values[index]) + change.values[index])
      }
      guard result.values.allSatisfy(\.isFinite) else {
        throw QuantizationError.overflow(operation: "drift correction")
      }
      return result
    } catch let error as QuantizationError {
      throw error
    } catch let error as LinearAlgebraError {
      throw .linearAlgebra(error)
    } catch {
      throw .overflow(operation: "drift correction: \(error)")
    }
  }
}
