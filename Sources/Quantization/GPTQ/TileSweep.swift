import LinearAlgebra
import Tensors
import Weights

/// The sweep over one tile of rows.
///
/// Values lie transposed, inputs × rows: one input's column is contiguous.
struct TileSweep<S: SweepScalar> {
  private let sweep: Sweep<S>
  private let rows: Range<Int>
  private let count: Int
  private let columns: Int
  /// The weights, updated as the sweep goes; positions × rows.
  private var weights: [S]
  /// (w − q)/U_jj of the running block.
  private var errors: [S]
  /// Codes by column, not by position; columns × rows.
  private var codes: [UInt8]
  /// groups × rows.
  private var scales: [S]
  private var zeros: [S]
  /// 1 where an entry counts, by position; empty without a mask.
  private var kept: [S]
  private var loss = 0.0

  init(_ sweep: Sweep<S>, rows: Range<Int>) throws(QuantizationError) {
    self.sweep = sweep
    self.rows = rows
    count = rows.count
    columns = sweep.target.columns
    let groups = columns / sweep.order.group
    weights = Self.transposed(sweep.target, rows: rows, order: sweep.order.columns)
    errors = Array(repeating: 0, count: (sweep.blocks.map(\.range.count).max() ?? 0) * count)
    codes = Array(repeating: 0, count: columns * count)
    scales = Array(repeating: 1, count: groups * count)
    zeros = Array(repeating: 0, count: groups * count)
    kept = []
    if let mask = sweep.mask {
      kept.reserveCapacity(columns * count)
      for column in sweep.order.columns {
        for row in rows { kept.append(mask.isKept(row, column) ? 1 : 0) }
      }
    }
    if let fixed = sweep.fixed {
      for group in 0..<groups {
        for (index, row) in rows.enumerated() {
          let from = fixed.isPerTensor ? 0 : row * fixed.groups + group
          scales[group * count + index] = S(fixed.scales[from])
          zeros[group * count + index] = S(fixed.zeros[from])
        }
      }
    }
  }

  mutating func outcome() throws(QuantizationError) -> TileOutcome {
    for block in sweep.blocks {
      for leaf in block.leaves {
        if sweep.fixed == nil { try fitGrids(startingIn: leaf) }
        for position in leaf { round(position, leaf: leaf, block: block.range) }
        update(leaf.upperBound..<block.range.upperBound, by: leaf, block: block.range)
      }
      update(block.range.upperBound..<columns, by: block.range, block: block.range)
    }
    return assembled()
  }

  /// Fits the grids of the groups that begin in a leaf; leaves begin where groups do.
  private mutating func fitGrids(startingIn leaf: Range<Int>) throws(QuantizationError) {
    let group = sweep.order.group
    guard leaf.lowerBound % group == 0 else { return }
    let panel = leaf.lowerBound..<leaf.lowerBound + group
    var values = [Float](repeating: 0, count: count * group)
    for (offset, position) in panel.enumerated() {
      for row in 0..<count {
        var value = Float(weights[position * count + row])
        if !kept.isEmpty { value *= Float(kept[position * count + row]) }
        values[row * group + offset] = value
      }
    }
    let fitted = try sweep.grids(of: Matrix(rows: count, columns: group, values: values))
    let number = sweep.order.columns[leaf.lowerBound] / group
    let (found, points) = (fitted.scales.floats(), fitted.zeroPoints())
    for row in 0..<count {
      scales[number * count + row] = S(found[row])
      zeros[number * count + row] = S(points[row])
    }
  }

  /// Rounds one input of all rows and takes what it costs off the rest of its leaf.
  private mutating func round(_ position: Int, leaf: Range<Int>, block: Range<Int>) {
    let column = sweep.order.columns[position]
    let group = column / sweep.order.group
    let pivot = sweep.factor[position, position]
    let top = S((1 << sweep.scheme.bits) - 1)
    let isMasked = !kept.isEmpty
    let count = count
    let columns = columns
    weights.withUnsafeMutableBufferPointer { weights in
      errors.withUnsafeMutableBufferPointer { errors in
        codes.withUnsafeMutableBufferPointer { codes in
          guard let allWeights = weights.baseAddress, let allErrors = errors.baseAddress,
            let allCodes = codes.baseAddress
          else { return }
          let w = allWeights + position * count
          let e = allErrors + (position - block.lowerBound) * count
          scales.withUnsafeBufferPointer { scales in
            zeros.withUnsafeBufferPointer { zeros in
              kept.withUnsafeBufferPointer { kept in
                Self.roundColumn(
                  w, e, allCodes + column * count, count: count,
                  scales: UnsafeBufferPointer(
                    rebasing: scales[group * count..<(group + 1) * count]),
                  zeros: UnsafeBufferPointer(rebasing: zeros[group * count..<(group + 1) * count]),
                  kept: isMasked ? kept.baseAddress.map { $0 + position * count } : nil,
                  top: top, pivot: pivot)
              }
            }
          }
          loss += Double(BLAS.dot(n: count, x: UnsafePointer(e), y: UnsafePointer(e)))
          sweep.factor.values.withUnsafeBufferPointer { factor in
            for next in position + 1..<max(leaf.upperBound, position + 1) {
              let share = factor[position * columns + next]
              let to = allWeights + next * count
              for row in 0..<count { to[row] -= share * e[row] }
            }
          }
        }
      }
    }
  }

  /// Codes of one column and its errors over the pivot; comparisons are written so that a NaN
  /// becomes a number, and is found in the loss.
  @inline(__always)
  private static func roundColumn(
    _ w: UnsafeMutablePointer<S>, _ e: UnsafeMutablePointer<S>,
    _ codes: UnsafeMutablePointer<UInt8>,
    count: Int, scales: UnsafeBufferPointer<S>, zeros: UnsafeBufferPointer<S>,
    kept: UnsafePointer<S>?, top: S, pivot: S
  ) {
    guard let scale = scales.baseAddress, let zero = zeros.baseAddress else { return }
    let rounder = S.rounder
    for row in 0..<count {
      var step = w[row] / scale[row]
      step = step < 512 ? step : 512
      step = step > -512 ? step : -512
      var code = (step + rounder) - rounder + zero[row]
      code = code < top ? code : top
      code = code > 0 ? code : 0
      codes[row] = S.byte(code)
      e[row] = w[row] - (code - zero[row]) * scale[row]
    }
    if let kept {
      for row in 0..<count where kept[row] == 0 {
        codes[row] = S.byte(zero[row])
        e[row] = w[row]
      }
    }
    for row in 0..<count { e[row] /= pivot }
  }

  /// weights[range] −= U[source, range]ᵀ · errors[source].
  private mutating func update(_ range: Range<Int>, by source: Range<Int>, block: Range<Int>) {
    guard !range.isEmpty, !source.isEmpty, count > 0 else { return }
    let (count, columns) = (count, columns)
    weights.withUnsafeMutableBufferPointer { weights in
      errors.withUnsafeBufferPointer { errors in
        sweep.factor.values.withUnsafeBufferPointer { factor in
          guard let w = weights.baseAddress, let e = errors.baseAddress,
            let u = factor.baseAddress
          else { return }
          BLAS.gemm(
            m: range.count, n: count, k: source.count, alpha: -1,
            a: u + source.lowerBound * columns + range.lowerBound, lda: columns, transposeA: true,
            b: e + (source.lowerBound - block.lowerBound) * count, ldb: count, transposeB: false,
            beta: 1, c: w + range.lowerBound * count, ldc: count)
        }
      }
    }
  }

  private func assembled() -> TileOutcome {
    var result = TileOutcome()
    result.loss = loss
    let bits = sweep.scheme.bits
    let group = sweep.order.group
    let groups = columns / group
    var line = [UInt8](repeating: 0, count: columns)
    for (index, row) in rows.enumerated() {
      var sum = 0.0
      for column in 0..<columns {
        let code = codes[column * count + index]
        line[column] = code
        let place = column / group * count + index
        let value = Float(S(code) - zeros[place]) * Float(scales[place])
        let isKept = sweep.mask?.isKept(row, column) ?? true
        let difference = Double(sweep.target[row, column]) - (isKept ? Double(value) : 0)
        sum += difference * difference
      }
      result.squaredError += sum
      result.codes += PackedCodes.pack(line, bits: bits)
      if sweep.fixed == nil {
        result.scales += (0..<groups).map { Float(scales[$0 * count + index]) }
        if !sweep.scheme.symmetric {
          result.zeros += PackedCodes.pack(
            (0..<groups).map { S.byte(zeros[$0 * count + index]) }, bits: bits)
        }
      }
    }
    return result
  }

  /// Some rows, inputs × rows, the inputs in the sweep's order.
  private static func transposed(
    _ matrix: Matrix<Float>, rows: Range<Int>, order: [Int]
  ) -> [S] {
    let (count, columns) = (rows.count, matrix.columns)
    return Array(unsafeUninitializedCapacity: columns * count) { target, initialized in
      matrix.values.withUnsafeBufferPointer { source in
        for (position, column) in order.enumerated() {
          for (index, row) in rows.enumerated() {
            target.initializeElement(
              at: position * count + index, to: S(source[row * columns + column]))
          }
        }
      }
      initialized = columns * count
    }
  }
}
