import Kernels
import LinearAlgebra
import Weights

extension DescentTile {
  /// One block's columns side by side, count × stride.
  private struct Local {
    var values: [Float]
    var residuals: [Float]
    var kept: [Float]
  }

  /// What a search found, by rows.
  private struct Found {
    var codes: [UInt8]
    var gains: [Float]
    var scales: [Float]
    var zeros: [Float]
  }

  /// Chooses the codes of a block together, on its grids and on others beside them, and tells all
  /// inputs what changed.
  func search(_ block: BeamPlan.Block) -> Int {
    let count = block.columns.count
    let local = gathered(block)
    var best = searched(block, local, scales: scales, zeros: zeros, isGroup: false)
    if let group = block.group {
      let place = group * stride..<(group + 1) * stride
      best.scales = Array(scales[place])
      best.zeros = Array(zeros[place])
      for move in job.beam?.moves ?? [] { consider(move, block, local, &best) }
      scales.replaceSubrange(place, with: best.scales)
      zeros.replaceSubrange(place, with: best.zeros)
    }
    var changes = [Float](repeating: 0, count: count * stride)
    var changed = 0
    for (index, column) in block.columns.enumerated() {
      let start = Int(column) * stride
      let grid = Int(column) / job.group * stride
      for row in rows.indices.map({ $0 - rows.lowerBound }) where best.gains[row] > 0 {
        let place = index * stride + row
        guard local.kept.isEmpty || local.kept[place] != 0 else {
          codes[start + row] = best.codes[place]
          continue
        }
        let value = (Float(best.codes[place]) - zeros[grid + row]) * scales[grid + row]
        if codes[start + row] != best.codes[place] { changed += 1 }
        codes[start + row] = best.codes[place]
        let difference = targets[start + row] - value
        changes[place] = difference - differences[start + row]
        differences[start + row] = difference
      }
    }
    spread(block, changes)
    return changed
  }

  private func gathered(_ block: BeamPlan.Block) -> Local {
    let count = block.columns.count
    var local = Local(
      values: Array(repeating: 0, count: count * stride), residuals: [], kept: [])
    local.residuals.reserveCapacity(count * stride)
    for (index, column) in block.columns.enumerated() {
      let start = Int(column) * stride
      let grid = Int(column) / job.group * stride
      local.residuals += gradients[start..<start + stride]
      if !kept.isEmpty { local.kept += kept[start..<start + stride] }
      for row in 0..<stride {
        local.values[index * stride + row] =
          (Float(codes[start + row]) - zeros[grid + row]) * scales[grid + row]
      }
    }
    // u = g·R⁻ᵀ, by columns R⁻¹·gᵀ.
    local.residuals.withUnsafeMutableBufferPointer { values in
      block.factor.withUnsafeBufferPointer { factor in
        guard let x = values.baseAddress, let r = factor.baseAddress else { return }
        BLAS.trsm(
          m: count, n: stride, alpha: 1, a: r, lda: count, triangle: .upper, transposeA: false,
          triangleOnLeft: true, b: x, ldb: stride)
      }
    }
    return local
  }

  /// The best codes on some grids: those of all groups, or one of the block's own.
  private func searched(
    _ block: BeamPlan.Block, _ local: Local, scales: [Float], zeros: [Float], isGroup: Bool
  ) -> Found {
    let count = block.columns.count
    var found = Found(
      codes: Array(repeating: 0, count: count * stride), gains: Array(repeating: 0, count: stride),
      scales: [], zeros: [])
    let places = (0..<count).map { Int32($0) }
    let grids = block.columns.map { isGroup ? 0 : Int32(Int($0) / job.group) }
    local.values.withUnsafeBufferPointer { values in
      local.kept.withUnsafeBufferPointer { kept in
        scales.withUnsafeBufferPointer { scales in
          zeros.withUnsafeBufferPointer { zeros in
            places.withUnsafeBufferPointer { places in
              grids.withUnsafeBufferPointer { grids in
                found.codes.withUnsafeMutableBufferPointer { codes in
                  guard let v = values.baseAddress, let s = scales.baseAddress,
                    let z = zeros.baseAddress, let ci = places.baseAddress,
                    let gi = grids.baseAddress, let c = codes.baseAddress
                  else { return }
                  var columns = PithColumns(
                    ColumnRun<Float>(
                      count: count, stride: stride, top: (1 << job.base.grid.bits) - 1,
                      targets: v, codeIndex: ci, gridIndex: gi, codes: c, scales: s, zeros: z,
                      kept: kept.isEmpty ? nil : kept.baseAddress))
                  pith_beam_integer(
                    &columns, rows.count, block.factor, local.residuals, &found.gains)
                }
              }
            }
          }
        }
      }
    }
    return found
  }

  /// Takes another grid of the block's group in the rows where it gains more.
  private func consider(
    _ move: BeamPlan.Move, _ block: BeamPlan.Block, _ local: Local, _ best: inout Found
  ) {
    guard let group = block.group else { return }
    let top = Float((1 << job.base.grid.bits) - 1)
    var (newScales, newZeros) = (best.scales, best.zeros)
    var isNew = [Bool](repeating: false, count: stride)
    for row in 0..<rows.count {
      let (scale, zero) = (scales[group * stride + row], zeros[group * stride + row])
      newScales[row] = job.base.grid.stored(scale: scale * move.factor)
      newZeros[row] = min(max(zero + move.shift, 0), top)
      isNew[row] = newScales[row] != scale || newZeros[row] != zero
    }
    let found = searched(block, local, scales: newScales, zeros: newZeros, isGroup: true)
    for row in 0..<rows.count where isNew[row] && found.gains[row] > best.gains[row] {
      best.gains[row] = found.gains[row]
      best.scales[row] = newScales[row]
      best.zeros[row] = newZeros[row]
      for index in block.columns.indices {
        best.codes[index * stride + row] = found.codes[index * stride + row]
      }
    }
  }

  /// gradients += H[:, block] · changes.
  private func spread(_ block: BeamPlan.Block, _ changes: [Float]) {
    guard columns > 0, stride > 0 else { return }
    let count = block.columns.count
    var lines: [Float] = []
    lines.reserveCapacity(count * columns)
    for column in block.columns {
      let start = Int(column) * columns
      lines += job.gram.values[start..<start + columns]
    }
    let (columns, stride) = (columns, stride)
    gradients.withUnsafeMutableBufferPointer { gradients in
      lines.withUnsafeBufferPointer { lines in
        changes.withUnsafeBufferPointer { changes in
          guard let g = gradients.baseAddress, let h = lines.baseAddress,
            let c = changes.baseAddress
          else { return }
          BLAS.gemm(
            m: columns, n: stride, k: count, alpha: 1, a: h, lda: columns, transposeA: true,
            b: c, ldb: stride, transposeB: false, beta: 1, c: g, ldc: stride)
        }
      }
    }
  }
}
