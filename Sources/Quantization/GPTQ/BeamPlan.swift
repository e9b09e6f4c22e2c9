import Kernels
import LinearAlgebra
import Tensors
import Weights

/// Blocks of inputs whose codes are chosen together, the others as they are.
///
/// For a change δ of a block's differences the error changes by 2·δ·gᵀ + δ·H_II·δᵀ, g the block's
/// part of D·H. With H_II = R·Rᵀ, R upper, and u = g·R⁻ᵀ that is ‖u + δ·R‖² − ‖u‖², whose terms
/// come one by one as δ's entries are chosen: a shortest-vector search (QuIP and GPTQ take the
/// nearest code at each, Babai's rounding), for which the M-algorithm keeps the eight best
/// beginnings (Anderson and Mohan 1984, doi 10.1109/TCOM.1984.1096023).
struct BeamPlan: Sendable {
  /// What one round does.
  struct Round: Sendable {
    /// From 1; odd rounds take inputs of equal loudness together, even ones a random choice.
    let number: Int
    /// Whether scales and zero points are tried beside the present ones as well.
    let movesGrids: Bool
  }

  struct Block: Sendable {
    let columns: [Int32]
    /// The group whose grid moves; nil where all grids stay.
    let group: Int?
    /// R, count × count.
    let factor: [Float]
  }

  /// A grid beside the present one: the scale's factor and the zero point's shift.
  struct Move: Sendable {
    let factor: Float
    let shift: Float
  }

  let blocks: [Block]
  let moves: [Move]
  let movesGrids: Bool

  /// More gained nothing measurable and costs its square.
  static let length = 64

  init(_ round: Round, base: IntegerBase, frozen: Set<Int>, gram: Matrix<Float>) {
    let free = (0..<base.columns).filter { !frozen.contains($0) }
    func louder(_ left: Int, _ right: Int) -> Bool {
      (-gram[left, left], left) < (-gram[right, right], right)
    }
    var order = free.sorted(by: louder)
    if round.number % 2 == 0 {
      let random = Philox(seed: 0)
      let keys = (0..<UInt32((base.columns + 3) / 4)).flatMap { block -> [UInt32] in
        let words = random.block(
          elementBlock: block, step: UInt32(round.number), purpose: .sampling)
        return [words[0], words[1], words[2], words[3]]
      }
      order = free.sorted { (keys[$0], $0) < (keys[$1], $1) }
    }
    var blocks: [Block] = []
    let group = base.grid.reach(columns: base.columns)
    let canMove =
      round.movesGrids && base.grid.granularity != .tensor && group <= Int(PITH_SWEEP_COLUMNS)
    for number in 0..<(canMove ? base.columns / group : 0) {
      let columns = Array(number * group..<(number + 1) * group)
      // The codes of frozen columns stay, and so must what they stand for.
      guard !columns.contains(where: frozen.contains) else { continue }
      blocks.append(Self.block(columns.sorted(by: louder), group: number, gram))
    }
    movesGrids = !blocks.isEmpty
    for start in stride(from: 0, to: order.count, by: Self.length) {
      let columns = order[start..<min(start + Self.length, order.count)]
      blocks.append(Self.block(columns.sorted(by: louder), group: nil, gram))
    }
    self.blocks = blocks
    let shifts: [Float] = base.grid.symmetric ? [] : [1, -1]
    moves =
      [0.97, 1.03, 0.89, 1.12].map { Move(factor: $0, shift: 0) }
      + shifts.map { Move(factor: 1, shift: $0) }
  }

  private static func block(_ columns: [Int], group: Int?, _ gram: Matrix<Float>) -> Block {
    Block(columns: columns.map { Int32($0) }, group: group, factor: factor(of: columns, gram))
  }

  /// R with R·Rᵀ the inputs' part of H and a trace of damping: what the search gains under it, it
  /// gains without.
  static func factor(of columns: [Int], _ gram: Matrix<Float>) -> [Float] {
    let count = columns.count
    for share in [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1] {
      if let found = factor(of: columns, gram, damping: share) { return found.map { Float($0) } }
    }
    // No Gram matrix at all; the diagonal of absolute row sums bounds it from above.
    var result = [Float](repeating: 0, count: count * count)
    for (index, column) in columns.enumerated() {
      let sum = columns.reduce(Float(0)) { $0 + abs(gram[column, $1]) }
      result[index * count + index] = sum > 0 ? sum.squareRoot() : 1
    }
    return result
  }

  private static func factor(
    of columns: [Int], _ gram: Matrix<Float>, damping: Double
  ) -> [Double]? {
    let count = columns.count
    var r = [Double](repeating: 0, count: count * count)
    // From the last column backwards: row i of R needs those below it.
    for i in (0..<count).reversed() {
      for j in (i..<count).reversed() {
        var sum = Double(gram[columns[i], columns[j]])
        if i == j { sum = sum > 0 ? sum * (1 + damping) : 1 }
        for k in j + 1..<max(count, j + 1) { sum -= r[i * count + k] * r[j * count + k] }
        if i == j {
          guard sum > 0 else { return nil }
          r[i * count + i] = sum.squareRoot()
        } else {
          r[i * count + j] = sum / r[j * count + j]
        }
      }
    }
    return r
  }
}
