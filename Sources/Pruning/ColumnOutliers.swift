import Tensors
import Weights

/// Taking a weight's largest input columns out of its base.
public enum ColumnOutliers {
  /// Moves the `count` columns of the base with the largest norms into outliers.
  ///
  /// (1) The sum stays what it was, to the rounding of `valueType`; (2) the base contributes
  /// nothing in those columns any more, so that they do not widen its groups: a dense base gets
  /// zeros there, a quantized one keeps its codes and scales and gets a mask; the values are what
  /// the base stood for; (3) ties go to the lower column; (4) outliers that exist are kept, and
  /// their columns are not chosen again.
  ///
  /// - Throws: `WeightsError.baseMissing`, `.countOutOfRange`, `.factorTypeUnsupported`,
  ///   `.notFinite` or `.valueNotFinite` (a value beyond the range of `valueType`).
  public static func extract(
    _ weight: CompressedWeight, count: Int, valueType: DType = .f16
  ) throws(WeightsError) -> CompressedWeight {
    let taken = weight.outliers?.columnNumbers ?? []
    guard count >= 0, count <= weight.columns - taken.count else {
      throw .countOutOfRange(count: count, columns: weight.columns - taken.count)
    }
    guard count > 0 else { return weight }
    guard weight.base != nil else { throw .baseMissing(operation: "outliers") }
    let values = weight.decodedBase()
    try values.checkFinite()
    return try extract(
      weight, columns: largest(values, count: count, except: Set(taken)), valueType: valueType)
  }

  /// Moves given columns of the base into outliers; those that are there already stay.
  ///
  /// - Throws: as above; `.countOutOfRange` for a column that the weight does not have.
  public static func extract(
    _ weight: CompressedWeight, columns: [Int], valueType: DType = .f16
  ) throws(WeightsError) -> CompressedWeight {
    guard let base = weight.base else { throw .baseMissing(operation: "outliers") }
    guard [.f32, .f16, .bf16].contains(valueType) else {
      throw .factorTypeUnsupported(valueType)
    }
    let taken = Set(weight.outliers?.columnNumbers ?? [])
    let chosen = Set(columns).subtracting(taken).sorted()
    if let beyond = chosen.first(where: { $0 < 0 || $0 >= weight.columns }) {
      throw .countOutOfRange(count: beyond, columns: weight.columns)
    }
    guard !chosen.isEmpty else { return weight }
    let values = weight.decodedBase()
    try values.checkFinite()
    var result = weight
    result.outliers = merged(weight.outliers, values, chosen, valueType)
    if let found = result.outliers?.values.floats().firstIndex(where: { !$0.isFinite }) {
      throw .valueNotFinite(part: "outliers/values", index: found)
    }
    remove(Set(chosen), from: base, of: &result)
    return result
  }

  /// The columns with the largest Σw², in ascending order.
  private static func largest(
    _ values: Matrix<Float>, count: Int, except: Set<Int>
  ) -> [Int] {
    var squares = [Double](repeating: 0, count: values.columns)
    for row in 0..<values.rows {
      let start = row * values.columns
      for column in 0..<values.columns {
        let value = Double(values.values[start + column])
        squares[column] += value * value
      }
    }
    let order = (0..<values.columns).filter { !except.contains($0) }
      .sorted { (-squares[$0], $0) < (-squares[$1], $1) }
    return order.prefix(count).sorted()
  }

  /// Old and new columns together; values of two types meet in f32.
  private static func merged(
    _ old: Outliers?, _ values: Matrix<Float>, _ chosen: [Int], _ valueType: DType
  ) -> Outliers {
    let oldNumbers = old?.columnNumbers ?? []
    let oldValues = old?.values.floats() ?? []
    let type = old.map { $0.values.dtype == valueType ? valueType : .f32 } ?? valueType
    let place = Dictionary(uniqueKeysWithValues: oldNumbers.enumerated().map { ($1, $0) })
    let all = (oldNumbers + chosen).sorted()
    var joined = Matrix<Float>(rows: values.rows, columns: all.count, repeating: 0)
    for row in 0..<values.rows {
      for (index, column) in all.enumerated() {
        joined[row, index] =
          place[column].map { oldValues[row * oldNumbers.count + $0] } ?? values[row, column]
      }
    }
    return Outliers(columns: all, values: joined, as: type)
  }

  private static func remove(
    _ chosen: Set<Int>, from base: Base, of weight: inout CompressedWeight
  ) {
    switch base {
    case .dense(let dense):
      var matrix = base.decoded()
      for row in 0..<matrix.rows { for column in chosen { matrix[row, column] = 0 } }
      weight.base = .dense(matrix, as: dense.values.dtype)
    case .sparse:
      weight = weight.unpacked()
      if let apart = weight.base { remove(chosen, from: apart, of: &weight) }
    default:
      let mask = Mask(rows: weight.rows, columns: weight.columns) { !chosen.contains($1) }
      weight.mask = weight.mask.map { $0.intersecting(mask) } ?? mask
    }
  }
}
