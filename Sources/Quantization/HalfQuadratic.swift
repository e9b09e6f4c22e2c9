import Foundation
import Tensors
import Weights

/// Data-free quantization by half-quadratic splitting (HQQ, Badri and Shaji 2023).
///
/// Minimises Σ|w − ŵ|^p, p < 1, so that a few large errors count for little: in turn, the errors e
/// are shrunk, e ← sign(d)·max(|d| − |d|^(p−1)/β, 0) with d = w − ŵ, and the grid is fitted to
/// w − e by least squares. The original fits real zero points; zero points are whole numbers here,
/// so the scale is what is fitted.
public enum HalfQuadratic {
  /// How the solver runs.
  public struct Options: Sendable, Hashable {
    /// p, above 0 and below 1.
    public var power: Double
    /// β, over the group's scale: how far errors shrink.
    public var strength: Double
    public var iterations: Int

    public init(power: Double = 0.7, strength: Double = 10, iterations: Int = 20) {
      self.power = power
      self.strength = strength
      self.iterations = iterations
    }

    func check() throws(QuantizationError) {
      guard power > 0, power < 1 else {
        throw .optionOutOfRange(name: "power", value: "\(power)", allowed: "above 0 and below 1")
      }
      guard strength > 0, strength.isFinite else {
        throw .optionOutOfRange(name: "strength", value: "\(strength)", allowed: "above 0")
      }
      guard (1...1000).contains(iterations) else {
        throw .optionOutOfRange(
          name: "iterations", value: "\(iterations)", allowed: "from 1 to 1000")
      }
    }
  }

  /// The weight with what its base holds now on an integer grid.
  ///
  /// (1) No group's Σ|w − ŵ|^p is above round-to-nearest's on the same scheme; (2) masked entries
  /// do not count; (3) the same bits with any number of workers.
  ///
  /// - Throws: `QuantizationError.weights`, `.optionOutOfRange`.
  public static func quantize(
    _ weight: CompressedWeight, scheme: IntegerScheme, options: Options = Options(),
    pool: WorkerPool = .serial
  ) throws(QuantizationError) -> CompressedWeight {
    try options.check()
    guard scheme.granularity != .tensor else {
      throw .optionOutOfRange(
        name: "group", value: "tensor", allowed: "a number of inputs, or channel")
    }
    let start: CompressedWeight
    do {
      start = try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
    } catch { throw .weights(error) }
    guard case .integer(let base) = start.base, base.rows > 0 else { return start }
    let target = weight.decodedBase()
    let length = base.grid.reach(columns: base.columns)
    let groups = base.columns / length
    let (scales, zeros) = (base.scales.floats(), base.zeroPoints())
    let tileRows = 32
    let tiles = (base.rows + tileRows - 1) / tileRows
    let solver = GroupSolver(grid: base.grid, options: options)
    let found =
      (try? pool.map(tiles) { tile -> [(codes: [UInt8], scales: [Float])] in
        (tile * tileRows..<min((tile + 1) * tileRows, base.rows)).map { row in
          let line = Array(target.values[target.range(ofRow: row)])
          let old = base.unpackedCodes(row: row)
          var codes: [UInt8] = []
          var points: [Float] = []
          for group in 0..<groups {
            let range = group * length..<(group + 1) * length
            let solved = solver.solve(
              Array(line[range]), codes: Array(old[range]), scale: scales[row * groups + group],
              zero: Int(zeros[row * groups + group]),
              kept: weight.mask.map { mask in range.map { mask.isKept(row, $0) } })
            codes += solved.codes
            points.append(solved.scale)
          }
          return (PackedCodes.pack(codes, bits: scheme.bits), points)
        }
      }) ?? []
    let rows = found.flatMap { $0 }
    var result = start
    result.base = .integer(
      IntegerBase(
        grid: base.grid, rows: base.rows, columns: base.columns,
        codes: Tensor(dtype: .u8, shape: base.codes.shape, array: rows.flatMap(\.codes)),
        scales: base.grid.tensor(
          ofScales: rows.flatMap(\.scales), shape: [base.rows, groups]), zeros: base.zeros))
    return result
  }
}

/// The iteration over one group.
private struct GroupSolver: Sendable {
  let grid: IntegerGrid
  let options: HalfQuadratic.Options

  /// The best codes and stored scale on the way; those given where nothing is better.
  func solve(
    _ values: [Float], codes: [UInt8], scale: Float, zero: Int, kept: [Bool]?
  ) -> (codes: [UInt8], scale: Float) {
    let power = Float(options.power)
    var best = (codes: codes, scale: scale)
    var steps = codes.map { Float(Int($0) - zero) }
    var current = scale
    var least = error(values, steps, current, power, kept)
    // Errors shrink by |e|^(p−1)/β in steps of the grid, so that the weight's own scale has no say.
    let strength = Float(options.strength)
    for _ in 0..<options.iterations {
      var (above, below) = (Double(0), Double(0))
      for index in values.indices where kept?[index] ?? true {
        let difference = (values[index] - steps[index] * current) / current
        let magnitude = abs(difference)
        let shrunk = magnitude > 0 ? max(magnitude - pow(magnitude, power - 1) / strength, 0) : 0
        let wanted = values[index] - (difference < 0 ? -shrunk : shrunk) * current
        above += Double(wanted) * Double(steps[index])
        below += Double(steps[index]) * Double(steps[index])
      }
      let ideal = above / below
      guard below > 0, ideal > 0, ideal < Double(Float.greatestFiniteMagnitude) else { break }
      let next = grid.stored(scale: Float(ideal))
      if next == current { break }
      current = next
      for index in values.indices where kept?[index] ?? true {
        let low = Float(-zero)
        let high = Float((1 << grid.bits) - 1 - zero)
        steps[index] = min(
          max((values[index] / current).rounded(.toNearestOrEven), low), high)
      }
      let found = error(values, steps, current, power, kept)
      guard found < least else { break }
      least = found
      best = (steps.map { UInt8(Int($0) + zero) }, current)
    }
    return best
  }

  /// Σ|w − ŵ|^p.
  private func error(
    _ values: [Float], _ steps: [Float], _ scale: Float, _ power: Float, _ kept: [Bool]?
  ) -> Double {
    var sum = 0.0
    for index in values.indices where kept?[index] ?? true {
      let magnitude = abs(values[index] - steps[index] * scale)
      if magnitude > 0 { sum += Double(pow(magnitude, power)) }
    }
    return sum
  }
}
