import Tensors

/// Planes of ±1 and their scales, fitted to a group of numbers in turn (ShiftAddLLM's BCQ; Xu and
/// others, arXiv 1802.00150).
///
/// The start is greedy: each plane is the sign of what is left, its scale the mean magnitude. Then
/// scales by least squares for the planes, and the nearest of the 2^b levels for every number, until
/// a round gains nothing; scales are positive and descend. No round ends worse than it began.
struct PlaneFit {
  /// Positive, descending.
  private(set) var scales: [Double]
  /// The codes of the levels from the lowest level to the highest, and the levels.
  private var order: [(level: Double, code: UInt8)] = []

  /// - Parameter rounds: at most; 0 is the greedy start alone.
  init(_ values: [Float], planes: Int, rounds: Int = 15) {
    var rest = values.map(Double.init)
    scales = []
    for _ in 0..<planes {
      let scale = rest.reduce(0) { $0 + abs($1) } / Double(max(rest.count, 1))
      scales.append(scale)
      // Zero counts as +1: a sign of 0 would leave the number out.
      for index in rest.indices { rest[index] += rest[index] >= 0 ? -scale : scale }
    }
    sortLevels()
    var best = (scales, error(values))
    for _ in 0..<rounds {
      guard let next = solved(values) else { break }
      scales = next.sorted(by: >)
      sortLevels()
      let found = error(values)
      guard found < best.1 * (1 - 1e-6) else { break }
      best = (scales, found)
    }
    scales = best.0
    sortLevels()
  }

  /// Given scales, with their levels in order.
  init(scales: [Float]) {
    self.scales = scales.map(Double.init)
    sortLevels()
  }

  /// The code of the nearest level; the lower one at a tie.
  func code(of value: Float) -> UInt8 { order[place(of: Double(value))].code }

  private func place(of value: Double) -> Int {
    var (low, high) = (0, order.count - 1)
    while low < high {
      let middle = (low + high) / 2
      // Written so that a NaN goes to the lowest level.
      if value > (order[middle].level + order[middle + 1].level) / 2 {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  /// Σ(w − ŵ)².
  func error(_ values: [Float]) -> Double {
    values.reduce(0) { sum, value in
      let e = Double(value) - order[place(of: Double(value))].level
      return sum + e * e
    }
  }

  private mutating func sortLevels() {
    order = (0..<1 << scales.count).map { code -> (level: Double, code: UInt8) in
      let level = scales.enumerated().reduce(0.0) {
        code >> $1.offset & 1 == 1 ? $0 + $1.element : $0 - $1.element
      }
      return (level, UInt8(code))
    }.sorted { ($0.level, $0.code) < ($1.level, $1.code) }
  }

  /// |α| with (BᵀB + trace)·α = Bᵀw for the planes of the nearest levels.
  private func solved(_ values: [Float]) -> [Double]? {
    let count = scales.count
    var left = [Double](repeating: 0, count: count * count)
    var right = [Double](repeating: 0, count: count)
    for value in values {
      let code = code(of: value)
      for i in 0..<count {
        let sign = code >> i & 1 == 1 ? 1.0 : -1.0
        right[i] += sign * Double(value)
        for j in 0..<count { left[i * count + j] += code >> j & 1 == 1 ? sign : -sign }
      }
    }
    // Two planes may coincide.
    for i in 0..<count { left[i * count + i] += 1e-6 * Double(max(values.count, 1)) }
    for i in 0..<count {
      guard left[i * count + i] > 0 else { return nil }
      for row in i + 1..<max(count, i + 1) {
        let share = left[row * count + i] / left[i * count + i]
        for column in i..<count { left[row * count + column] -= share * left[i * count + column] }
        right[row] -= share * right[i]
      }
    }
    for i in (0..<count).reversed() {
      for j in i + 1..<max(count, i + 1) { right[i] -= left[i * count + j] * right[j] }
      right[i] /= left[i * count + i]
    }
    return right.allSatisfy(\.isFinite) ? right.map(abs) : nil
  }
}

extension PlaneBase {
  /// Planes and scales fitted to every group; codes chosen with the scales as stored.
  ///
  /// - Throws: `WeightsError.notFinite`, `.groupDoesNotDivide`.
  public static func fitted(
    _ weight: Matrix<Float>, scheme: PlaneScheme, mask: Mask? = nil, pool: WorkerPool = .serial
  ) throws(WeightsError) -> PlaneBase {
    try weight.checkFinite()
    let length = scheme.groupLength(columns: weight.columns)
    guard length > 0, weight.columns % length == 0 else {
      throw .groupDoesNotDivide(group: length, columns: weight.columns)
    }
    let groups = weight.columns / length
    let tile = 16
    let parts =
      (try? pool.map((weight.rows + tile - 1) / tile) {
        index -> (codes: [UInt8], scales: [Float]) in
        var (codes, scales): ([UInt8], [Float]) = ([], [])
        for row in index * tile..<min((index + 1) * tile, weight.rows) {
          var line: [UInt8] = []
          for group in 0..<groups {
            let columns = group * length..<(group + 1) * length
            let kept = columns.filter { mask?.isKept(row, $0) ?? true }
            let fit = PlaneFit(kept.map { weight[row, $0] }, planes: scheme.planes)
            let stored = fit.scales.map { scheme.stored(Float($0)) }
            let nearest = PlaneFit(scales: stored)
            line += columns.map { nearest.code(of: weight[row, $0]) }
            scales += stored
          }
          codes += PackedCodes.pack(line, bits: scheme.planes)
        }
        return (codes, scales)
      }) ?? []
    let bytes = PackedCodes.bytes(count: weight.columns, bits: scheme.planes)
    return PlaneBase(
      scheme: scheme, rows: weight.rows, columns: weight.columns,
      codes: Tensor(dtype: .u8, shape: [weight.rows, bytes], array: parts.flatMap(\.codes)),
      scales: .encoded(
        parts.flatMap(\.scales), as: scheme.scaleType,
        shape: [weight.rows, groups * scheme.planes]))
  }
}
