import Tensors
import Weights

/// The exponent of a power-exponent grid (PowerQuant, Yvinec and others 2023).
public enum PowerExponent {
  /// The scheme with the exponent whose grid has the least squared error on a weight.
  ///
  /// A golden-section search over `NumberFormat.exponents` on every row, at most 256 of them
  /// evenly spread: the error has one minimum there. Rounded to 1/128, so that it is the same
  /// number in the file.
  public static func fitted(
    _ scheme: TableScheme, to weight: CompressedWeight, pool: WorkerPool = .serial
  ) throws(WeightsError) -> TableScheme {
    guard case .power(let bits, _) = scheme.grid.format else { return scheme }
    guard let base = weight.base else { throw .baseMissing(operation: "quantize") }
    let step = max(1, base.rows / 256)
    let rows = stride(from: 0, to: base.rows, by: step)
    var sample = Matrix<Float>(rows: 0, columns: base.columns, values: [])
    var values: [Float] = []
    for row in rows { values += weight.decodedBase(rows: row..<row + 1).values }
    sample = Matrix(
      rows: values.count / max(base.columns, 1), columns: base.columns, values: values)
    let plain = try TableScheme(scheme.grid, rule: .absmax, clip: .none)

    func error(_ exponent: Float) throws(WeightsError) -> Double {
      try TableBase.rounded(
        sample, scheme: plain.with(format: .power(bits: bits, exponent: exponent)), pool: pool
      ).errors.squaredError
    }
    let shrink = (Float(5).squareRoot() - 1) / 2
    var (low, high) = (NumberFormat.exponents.lowerBound, NumberFormat.exponents.upperBound)
    var (left, right) = (high - shrink * (high - low), low + shrink * (high - low))
    var (leftError, rightError) = (try error(left), try error(right))
    while high - low > 1 / 64 {
      if leftError <= rightError {
        (high, right, rightError) = (right, left, leftError)
        left = high - shrink * (high - low)
        leftError = try error(left)
      } else {
        (low, left, leftError) = (left, right, rightError)
        right = low + shrink * (high - low)
        rightError = try error(right)
      }
    }
    let exponent = (((low + high) / 2) * 128).rounded() / 128
    return try scheme.with(format: .power(bits: bits, exponent: exponent))
  }
}
