import LinearAlgebra
import Tensors
import Weights

extension GPTQ {
  /// The sweep as it is written down: one column after the other, f64, no blocks, no tiles.
  ///
  /// The inverse's factor comes the long way, by inverting first; grids are fitted on the same
  /// weights as in `quantize`. Without masks, dead inputs, the ladder and the refit: the twin of
  /// the tests.
  static func reference(
    _ weight: Matrix<Float>, gram: Matrix<Double>, scheme: IntegerScheme, options: GPTQOptions
  ) throws -> (codes: [[UInt8]], decoded: Matrix<Float>) {
    let count = weight.columns
    let order = SweepOrder(
      (0..<count).map { gram[$0, $0] }, scheme: scheme, order: options.order)
    let mean = (0..<count).reduce(0.0) { $0 + gram[$1, $1] } / Double(count)
    var damped = Matrix<Double>(rows: count, columns: count, repeating: 0)
    for row in 0..<count {
      for column in 0..<count {
        damped[row, column] = gram[order.columns[row], order.columns[column]]
      }
      damped[row, row] += options.dampingShare * mean
    }
    let lower = try Cholesky.factor(damped).factor
    let inverse = try Cholesky.solve(lower: lower, .identity(count))
    let factor = try Cholesky.factor(inverse).factor.transposed

    let group = order.group
    var w = weight.converted(to: Double.self)
    var codes = Array(repeating: [UInt8](repeating: 0, count: count), count: weight.rows)
    var decoded = weight
    let fixed = try IntegerBase.roundToNearest(weight, scheme: scheme)
    var fitted = fixed
    var usesOriginal = Array(repeating: false, count: weight.rows)
    let top = Double((1 << scheme.bits) - 1)
    for (position, column) in order.columns.enumerated() {
      if !order.isStatic, position % group == 0 {
        var panel = weight
        for other in position..<position + group {
          for row in 0..<weight.rows {
            panel[row, order.columns[other]] = Float(w[row, order.columns[other]])
          }
        }
        fitted = try IntegerBase.roundToNearest(panel, scheme: scheme)
        usesOriginal = (0..<weight.rows).map { row in
          let places = Array(position..<position + group)
          func loss(_ base: IntegerBase) -> Double {
            groupLoss(
              places.map { w[row, order.columns[$0]] },
              points: places.map { base.point(row, order.columns[$0]) },
              factor: places.map { i in places.map { factor[i, $0] } }, top: top)
          }
          return loss(fixed) < loss(fitted)
        }
      }
      for row in 0..<weight.rows {
        let point = (usesOriginal[row] ? fixed : fitted).point(row, column)
        let (scale, zero) = (Double(point.scale), Double(point.zero))
        let code = min(
          max((w[row, column] / scale).rounded(.toNearestOrEven) + zero, 0), top)
        codes[row][column] = UInt8(code)
        decoded[row, column] = Float((code - zero) * scale)
        let error = (w[row, column] - (code - zero) * scale) / factor[position, position]
        for next in position..<count {
          w[row, order.columns[next]] -= error * factor[position, next]
        }
      }
    }
    return (codes, decoded)
  }

  /// What one row loses in a group on given grids, rounded column by column.
  private static func groupLoss(
    _ values: [Double], points: [IntegerGridPoint], factor: [[Double]], top: Double
  ) -> Double {
    var w = values
    var sum = 0.0
    for index in w.indices {
      let (scale, zero) = (Double(points[index].scale), Double(points[index].zero))
      let code = min(max((w[index] / scale).rounded(.toNearestOrEven) + zero, 0), top)
      let error = (w[index] - (code - zero) * scale) / factor[index][index]
      sum += error * error
      for next in index..<w.count { w[next] -= error * factor[index][next] }
    }
    return sum
  }
}
