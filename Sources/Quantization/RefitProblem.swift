import LinearAlgebra
import Tensors
import Weights

/// The least-squares problems of all rows of one weight.
struct RefitProblem: Sendable {
  let target: Matrix<Float>
  /// H over its mean diagonal.
  let gram: Matrix<Float>
  let decoded: Matrix<Float>
  /// Inputs that share a scale.
  let length: Int
  var isPerTensor = false
  /// Scales of a row, all terms together.
  let width: Int
  /// Unknowns of a group: its scale, and of some blocks a second number for their minima.
  var terms = 1
  let old: [Float]
  /// What a code stands for before its scale, ⊙ mask, of some rows, one term after the other.
  let steps: @Sendable (Range<Int>) -> [Float]
  let rounding: @Sendable (Float) -> Float

  struct Outcome: Sendable {
    /// In the order that the base stores them.
    var scales: [Float]
    /// The sum of what the rows' errors changed by, at most 0, over the mean diagonal.
    var change: Double
    var rowsImproved: Int

    init(scales: [Float] = [], change: Double = 0, rowsImproved: Int = 0) {
      (self.scales, self.change, self.rowsImproved) = (scales, change, rowsImproved)
    }

    /// Of tiles of rows, one after the other.
    init(joining parts: [Outcome]) {
      self.init(
        scales: parts.flatMap(\.scales), change: parts.reduce(0) { $0 + $1.change },
        rowsImproved: parts.reduce(0) { $0 + $1.rowsImproved })
    }

    /// Adds the next rows' best scales.
    mutating func append(_ scales: ArraySlice<Float>, changes: ArraySlice<Double>) {
      self.scales += scales
      for change in changes {
        self.change += change
        if change < 0 { rowsImproved += 1 }
      }
    }

    /// Adds the next row's best scales.
    mutating func append(_ row: (scales: [Float], change: Double)) {
      scales += row.scales
      change += row.change
      if row.change < 0 { rowsImproved += 1 }
    }
  }

  /// Rows of a tile, a function of the extents alone: H is packed again for each.
  static func tileRows(rows: Int) -> Int { rows >= 2048 ? 512 : 128 }

  func solve(pool: WorkerPool) -> Outcome {
    let rows = target.rows
    let tile = Self.tileRows(rows: rows)
    let tiles = (rows + tile - 1) / tile
    let systems =
      (try? pool.map(tiles) { index -> [ScaleSystem] in
        self.systems(rows: index * tile..<min((index + 1) * tile, rows))
      }) ?? []
    var outcome = Outcome()
    var all = systems.flatMap { $0 }
    if isPerTensor { all = [ScaleSystem(summing: all)] }
    for (row, system) in all.enumerated() {
      outcome.append(
        system.solved(from: Array(old[row * width..<(row + 1) * width]), rounding: rounding))
    }
    return outcome
  }

  /// A and b of some rows.
  private func systems(rows: Range<Int>) -> [ScaleSystem] {
    let (count, columns) = (rows.count, target.columns)
    let groups = columns / length
    let steps = self.steps(rows)
    let start = rows.lowerBound * columns
    var differences = [Float](repeating: 0, count: count * columns)
    for index in differences.indices {
      differences[index] = target.values[start + index] - decoded.values[start + index]
    }
    let unknowns = groups * terms
    var systems = Array(repeating: ScaleSystem(groups: unknowns), count: count)
    var product = [Float](repeating: 0, count: count * columns)
    steps.withUnsafeBufferPointer { steps in
      differences.withUnsafeBufferPointer { differences in
        gram.values.withUnsafeBufferPointer { gram in
          guard let v = steps.baseAddress, let d = differences.baseAddress,
            let h = gram.baseAddress
          else { return }
          for unknown in 0..<unknowns {
            let first = unknown % groups * length
            BLAS.gemm(
              m: count, n: columns, k: length, alpha: 1,
              a: v + unknown / groups * count * columns + first, lda: columns,
              transposeA: false, b: h + first * columns, ldb: columns, transposeB: false, beta: 0,
              c: &product, ldc: columns)
            product.withUnsafeBufferPointer { product in
              guard let p = product.baseAddress else { return }
              for row in 0..<count {
                let line = row * columns
                systems[row].right[unknown] = Double(
                  BLAS.dot(n: columns, x: p + line, y: d + line))
                for other in unknown..<unknowns {
                  let place = line + other % groups * length
                  let value = Double(
                    BLAS.dot(
                      n: length, x: p + place, y: v + other / groups * count * columns + place))
                  systems[row].left[unknown * unknowns + other] = value
                  systems[row].left[other * unknowns + unknown] = value
                }
              }
            }
          }
        }
      }
    }
    return systems
  }
}

/// One row's quadratic: δᵀAδ − 2bᵀδ for a change δ of its scales.
struct ScaleSystem: Sendable {
  let groups: Int
  var left: [Double]
  var right: [Double]

  init(groups: Int) {
    self.groups = groups
    left = Array(repeating: 0, count: groups * groups)
    right = Array(repeating: 0, count: groups)
  }

  /// One scale for all rows.
  init(summing systems: [ScaleSystem]) {
    self.init(groups: 1)
    for system in systems {
      left[0] += system.left[0]
      right[0] += system.right[0]
    }
  }

  /// b − Aδ.
  private func residual(_ change: [Double]) -> [Double] {
    var result = right
    for row in 0..<groups {
      var sum = 0.0
      for column in 0..<groups { sum += left[row * groups + column] * change[column] }
      result[row] -= sum
    }
    return result
  }

  /// δᵀAδ − 2bᵀδ = −δ·(b + (b − Aδ)).
  private func value(_ change: [Double]) -> Double {
    let rest = residual(change)
    return -(0..<groups).reduce(0.0) { $0 + change[$1] * (right[$1] + rest[$1]) }
  }

  /// The best stored scales that were found, and what they change the error by; no change at all
  /// where nothing better was found.
  func solved(
    from old: [Float], rounding: (Float) -> Float
  ) -> (scales: [Float], change: Double) {
    func stored(_ scale: Double, else other: Float) -> Float {
      guard scale.isFinite, scale > 0, scale < Double(Float.greatestFiniteMagnitude) else {
        return other
      }
      return rounding(Float(scale))
    }
    var scales = old
    var change = [Double](repeating: 0, count: groups)
    if let exact = minimizer() {
      let candidate = (0..<groups).map { stored(Double(old[$0]) + exact[$0], else: old[$0]) }
      let moved = (0..<groups).map { Double(candidate[$0]) - Double(old[$0]) }
      if value(moved) < 0 { (scales, change) = (candidate, moved) }
    }
    // Rounding one scale is made good by the next: each step is taken only where it gains.
    var rest = residual(change)
    for _ in 0..<3 {
      for group in 0..<groups {
        let pivot = left[group * groups + group]
        guard pivot > 0 else { continue }
        let next = stored(Double(scales[group]) + rest[group] / pivot, else: scales[group])
        let step = Double(next) - Double(scales[group])
        guard step != 0, pivot * step * step - 2 * step * rest[group] < 0 else { continue }
        scales[group] = next
        change[group] += step
        for other in 0..<groups { rest[other] -= left[other * groups + group] * step }
      }
    }
    let gain = value(change)
    return gain < 0 ? (scales, gain) : (old, 0)
  }

  /// A⁻¹b by Cholesky's method with a trace of damping; nil where a pivot fails.
  private func minimizer() -> [Double]? {
    let mean = (0..<groups).reduce(0.0) { $0 + left[$1 * groups + $1] / Double(groups) }
    guard mean > 0, mean.isFinite else { return nil }
    var factor = left
    for row in 0..<groups {
      for column in 0...row {
        var sum = left[row * groups + column]
        for index in 0..<column {
          sum -= factor[row * groups + index] * factor[column * groups + index]
        }
        if row == column {
          // A group whose codes are all zero has no say: 1 leaves its scale alone.
          let pivot = left[row * groups + row] > 0 ? sum + 1e-6 * left[row * groups + row] : 1
          guard pivot > 0 else { return nil }
          factor[row * groups + row] = pivot.squareRoot()
        } else {
          factor[row * groups + column] = sum / factor[column * groups + column]
        }
      }
    }
    var solution = right
    for row in 0..<groups {
      for index in 0..<row { solution[row] -= factor[row * groups + index] * solution[index] }
      solution[row] /= factor[row * groups + row]
    }
    for row in (0..<groups).reversed() {
      for index in row + 1..<max(groups, row + 1) {
        solution[row] -= factor[index * groups + row] * solution[index]
      }
      solution[row] /= factor[row * groups + row]
    }
    return solution
  }
}
