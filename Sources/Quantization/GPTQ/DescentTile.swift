import Kernels
import LinearAlgebra
import Tensors
import Weights

/// What the tiles of a descent share.
struct DescentJob: Sendable {
  let base: IntegerBase
  let mask: Mask?
  /// Columns whose codes stay.
  let frozen: Set<Int>
  let target: Matrix<Float>
  let gram: Matrix<Float>
  let passes: Int
  /// Inputs that share a scale.
  let group: Int
  let scales: [Float]
  let zeros: [UInt8]
  let codeIndex: [Int32]
  let gridIndex: [Int32]
  /// Blocks of inputs and where the diagonal block of H of each begins in `blocks`.
  let ranges: [(range: Range<Int>, offset: Int)]
  let blocks: [Float]
  /// Blocks whose codes are chosen together, in place of `ranges`; nil for single ones.
  let beam: BeamPlan?

  init(
    base: IntegerBase, mask: Mask?, frozen: Set<Int>, target: Matrix<Float>, gram: Matrix<Float>,
    passes: Int, beam: BeamPlan? = nil
  ) {
    self.beam = beam
    self.base = base
    self.mask = mask
    self.frozen = frozen
    self.target = target
    self.gram = gram
    self.passes = passes
    let group = base.grid.reach(columns: base.columns)
    self.group = group
    scales = base.scales.floats()
    zeros = base.zeroPoints()
    codeIndex = (0..<base.columns).map { Int32($0) }
    gridIndex = (0..<base.columns).map { Int32($0 / group) }
    var ranges: [(range: Range<Int>, offset: Int)] = []
    var blocks: [Float] = []
    let length = ColumnRun<Float>.limit
    for start in stride(from: 0, to: beam == nil ? base.columns : 0, by: length) {
      let range = start..<min(start + length, base.columns)
      ranges.append((range, blocks.count))
      for row in range {
        let line = row * gram.columns
        blocks += gram.values[line + range.lowerBound..<line + range.upperBound]
      }
    }
    self.ranges = ranges
    self.blocks = blocks
  }
}

/// Where the tiles write their rows' scales and zero points, rows × groups.
struct GridRows {
  let scales: UnsafeMutablePointer<Float>
  let zeros: UnsafeMutablePointer<UInt8>
}

/// The descent over one tile of rows; everything lies by columns, inputs × rows.
final class DescentTile {
  struct Outcome: Sendable {
    var before = 0.0
    var after = 0.0
    var changes = 0
  }

  let job: DescentJob
  let rows: Range<Int>
  let columns: Int
  let stride: Int
  var targets: [Float]
  /// w − q.
  var differences: [Float]
  /// D·H.
  var gradients: [Float]
  var codes: [UInt8]
  var scales: [Float]
  var zeros: [Float]
  var kept: [Float] = []

  init(_ job: DescentJob, rows: Range<Int>) {
    self.job = job
    self.rows = rows
    columns = job.base.columns
    stride = ColumnRun<Float>.stride(rows: rows.count)
    let (columns, stride) = (columns, stride)
    let all = Array(0..<columns)
    targets = Array(unsafeUninitializedCapacity: columns * stride) { target, initialized in
      job.target.values.withUnsafeBufferPointer { source in
        if let to = target.baseAddress, let from = source.baseAddress {
          TileLayout.gathered(
            from, width: columns, rows: rows, stride: stride, order: all, into: to)
        }
      }
      initialized = columns * stride
    }
    let groups = columns / job.group
    codes = Array(repeating: 0, count: columns * stride)
    scales = Array(repeating: 1, count: groups * stride)
    zeros = Array(repeating: 0, count: groups * stride)
    gradients = Array(repeating: 0, count: columns * stride)
    let isPerTensor = job.base.grid.granularity == .tensor
    for group in 0..<groups {
      for (index, row) in rows.enumerated() {
        let from = isPerTensor ? 0 : row * groups + group
        scales[group * stride + index] = job.scales[from]
        zeros[group * stride + index] = Float(job.zeros[from])
      }
    }
    differences = targets
    let isPartial = job.mask != nil || !job.frozen.isEmpty
    if isPartial { kept = Array(repeating: 0, count: columns * stride) }
    for (index, row) in rows.enumerated() {
      for (column, code) in job.base.unpackedCodes(row: row).enumerated() {
        let place = column * stride + index
        let grid = column / job.group * stride + index
        codes[place] = code
        let counts = job.mask?.isKept(row, column) ?? true
        if counts {
          differences[place] = targets[place] - (Float(code) - zeros[grid]) * scales[grid]
        }
        if isPartial, counts, !job.frozen.contains(column) { kept[place] = 1 }
      }
    }
  }

  /// Packed codes go to `packed`; scales and zero points to `grids`, rows × groups: where the
  /// weight's first row begins.
  func run(packed: UnsafeMutablePointer<UInt8>, grids: GridRows?) -> Outcome {
    multiply(0..<columns, by: differences, adding: false)
    let before = rowErrors()
    var outcome = Outcome()
    for (range, offset) in job.ranges { outcome.changes += visit(range, offset) }
    for block in job.beam?.blocks ?? [] { outcome.changes += search(block) }
    let after = rowErrors()
    let bits = job.base.grid.bits
    let bytes = PackedCodes.bytes(count: columns, bits: bits)
    codes.withUnsafeBufferPointer { codes in
      guard let from = codes.baseAddress else { return }
      TileLayout.packed(from, columns: columns, rows: rows.count, stride: stride) { row, line in
        outcome.before += before[row]
        // A row that only gained by roundings keeps what it had.
        guard after[row] < before[row] else {
          outcome.after += before[row]
          return
        }
        outcome.after += max(0, after[row])
        let groups = columns / job.group
        for group in 0..<(grids == nil ? 0 : groups) {
          let place = (rows.lowerBound + row) * groups + group
          grids?.scales[place] = scales[group * stride + row]
          grids?.zeros[place] = UInt8(zeros[group * stride + row])
        }
        pith_pack_codes(line, columns, Int32(bits), packed + (rows.lowerBound + row) * bytes)
      }
    }
    return outcome
  }

  /// Descends over the entries of some inputs, and tells the others what changed.
  private func visit(_ range: Range<Int>, _ offset: Int) -> Int {
    let start = range.lowerBound * stride
    let end = range.upperBound * stride
    let before = Array(differences[start..<end])
    var local = Array(gradients[start..<end])
    var found: UInt64 = 0
    let stride = stride
    targets.withUnsafeBufferPointer { targets in
      differences.withUnsafeMutableBufferPointer { differences in
        codes.withUnsafeMutableBufferPointer { codes in
          scales.withUnsafeBufferPointer { scales in
            zeros.withUnsafeBufferPointer { zeros in
              kept.withUnsafeBufferPointer { kept in
                job.codeIndex.withUnsafeBufferPointer { codeIndex in
                  job.gridIndex.withUnsafeBufferPointer { gridIndex in
                    job.blocks.withUnsafeBufferPointer { blocks in
                      guard let t = targets.baseAddress, let d = differences.baseAddress,
                        let c = codes.baseAddress, let s = scales.baseAddress,
                        let z = zeros.baseAddress, let ci = codeIndex.baseAddress,
                        let gi = gridIndex.baseAddress, let h = blocks.baseAddress
                      else { return }
                      var columns = PithColumns(
                        ColumnRun<Float>(
                          count: range.count, stride: stride,
                          top: (1 << job.base.grid.bits) - 1, targets: t + start,
                          codeIndex: ci + range.lowerBound, gridIndex: gi + range.lowerBound,
                          codes: c, scales: s, zeros: z,
                          kept: kept.isEmpty ? nil : kept.baseAddress.map { $0 + start }))
                      found = pith_descend_integer(
                        &columns, h + offset, &local, d + start, Int32(job.passes))
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
    if found > 0 {
      var moved = before
      for index in moved.indices { moved[index] = differences[start + index] - before[index] }
      multiply(range, by: moved, adding: true)
    }
    return Int(found)
  }

  /// gradients ← (gradients +) H[:, range] · values, values being range × rows.
  private func multiply(_ range: Range<Int>, by values: [Float], adding: Bool) {
    guard columns > 0, stride > 0 else { return }
    let (columns, stride) = (columns, stride)
    gradients.withUnsafeMutableBufferPointer { gradients in
      job.gram.values.withUnsafeBufferPointer { gram in
        guard let g = gradients.baseAddress, let h = gram.baseAddress else { return }
        BLAS.gemm(
          m: columns, n: stride, k: range.count, alpha: 1, a: h + range.lowerBound, lda: columns,
          transposeA: false, b: values, ldb: stride, transposeB: false, beta: adding ? 1 : 0, c: g,
          ldc: stride)
      }
    }
  }

  /// Σ d·(D·H) of every row.
  private func rowErrors() -> [Double] {
    var result = [Double](repeating: 0, count: stride)
    for column in 0..<columns {
      let start = column * stride
      for row in 0..<stride {
        result[row] += Double(differences[start + row]) * Double(gradients[start + row])
      }
    }
    return result
  }
}
