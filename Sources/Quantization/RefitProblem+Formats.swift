import LinearAlgebra
import Tensors
import Weights

/// The refit of bases whose codes are not integers of one grid.
extension RefitProblem {
  /// As above, of a table format whose scales are stored one by one.
  init(
    base: TableBase, rounding: @escaping @Sendable (Float) -> Float, mask: Mask?,
    target: Matrix<Float>, gram: Matrix<Float>, decoded: Matrix<Float>
  ) {
    self.target = target
    self.gram = gram
    self.decoded = decoded
    self.rounding = rounding
    length = max(base.grid.groupLength(columns: base.columns), 1)
    isPerTensor = base.grid.granularity == .tensor
    width = base.scales.shape.rowElementCount
    old = base.scaleValues()
    steps = { rows in
      var result: [Float] = []
      result.reserveCapacity(rows.count * base.columns)
      for row in rows {
        for (column, code) in base.unpackedCodes(row: row).enumerated() {
          let isKept = mask?.isKept(row, column) ?? true
          result.append(isKept ? base.table.value(of: code) : 0)
        }
      }
      return result
    }
  }

  /// As above, of groups in several formats; scales in the groups' own order.
  init(
    base: MixedBase, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>,
    decoded: Matrix<Float>
  ) {
    self.target = target
    self.gram = gram
    self.decoded = decoded
    rounding = base.scaleRounding
    length = base.group
    isPerTensor = false
    let (groups, length) = (base.columns / base.group, base.group)
    width = groups
    let scales = base.scaleValues()
    old = scales
    steps = { rows in
      let values = Base.mixed(base).decoded(rows: rows).values
      return values.indices.map { index in
        let (row, column) = (rows.lowerBound + index / base.columns, index % base.columns)
        let isKept = mask?.isKept(row, column) ?? true
        return isKept ? values[index] / scales[row * groups + column / length] : 0
      }
    }
  }

  /// As above, of one plane of binary-coded weights, the others as they are.
  init(
    base: PlaneBase, plane: Int, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>,
    decoded: Matrix<Float>
  ) {
    self.target = target
    self.gram = gram
    self.decoded = decoded
    let scheme = base.scheme
    rounding = { scheme.stored($0) }
    length = base.groupLength
    isPerTensor = false
    width = base.groups
    let scales = base.scales.floats()
    old = stride(from: plane, to: scales.count, by: scheme.planes).map { scales[$0] }
    steps = { rows in
      var result: [Float] = []
      result.reserveCapacity(rows.count * base.columns)
      for row in rows {
        for (column, code) in base.unpackedCodes(row: row).enumerated() {
          let isKept = mask?.isKept(row, column) ?? true
          result.append(isKept ? (code >> plane & 1 == 1 ? 1 : -1) : 0)
        }
      }
      return result
    }
  }

  /// As above, of ggml's blocks.
  ///
  /// Unknown are the f16 that a block's scales are multiples of and, where there are minima, that of
  /// the minima. Signs stay.
  init(
    base: BlockBase, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>,
    decoded: Matrix<Float>
  ) {
    self.target = target
    self.gram = gram
    self.decoded = decoded
    length = base.format.length
    isPerTensor = false
    terms = base.format.hasMinima ? 2 : 1
    width = base.blocksPerRow * terms
    old = base.multipliers().map { abs($0) }
    rounding = { FloatConversion.float16(FloatConversion.float16Bits(min($0, 65504))) }
    steps = { rows in base.multiplierSteps(rows: rows, mask: mask) }
  }
}
