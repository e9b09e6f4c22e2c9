import LinearAlgebra
import Tensors
import Weights

/// The problem of each kind of base; `target` is what base ⊙ mask should stand for, `decoded` what
/// it stands for.
extension RefitProblem {
  /// Of integers on one grid.
  init(
    base: IntegerBase, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>,
    decoded: Matrix<Float>
  ) {
    let (grid, zeros) = (base.grid, base.zeroPoints())
    let length = grid.reach(columns: base.columns)
    let isPerTensor = grid.granularity == .tensor
    let width = base.scales.shape.rowElementCount
    self.init(
      target: target, gram: gram, decoded: decoded, length: length, isPerTensor: isPerTensor,
      width: width, old: base.scales.floats(),
      steps: Self.steps(mask) { row in
        let start = isPerTensor ? 0 : row * width
        return base.unpackedCodes(row: row).enumerated().map { column, code in
          Float(Int(code) - Int(zeros[start + column / length]))
        }
      },
      rounding: { grid.stored(scale: $0) })
  }

  /// Of a table format whose scales are stored one by one.
  init(
    base: TableBase, rounding: @escaping @Sendable (Float) -> Float, mask: Mask?,
    target: Matrix<Float>, gram: Matrix<Float>, decoded: Matrix<Float>
  ) {
    self.init(
      target: target, gram: gram, decoded: decoded,
      length: max(base.grid.groupLength(columns: base.columns), 1),
      isPerTensor: base.grid.granularity == .tensor, width: base.scales.shape.rowElementCount,
      old: base.scaleValues(),
      steps: Self.steps(mask) { row in
        base.unpackedCodes(row: row).map { base.table.value(of: $0) }
      },
      rounding: rounding)
  }

  /// Of groups in several formats; scales in the groups' own order.
  init(
    base: MixedBase, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>,
    decoded: Matrix<Float>
  ) {
    let (scales, width, length) = (base.scaleValues(), base.columns / base.group, base.group)
    self.init(
      target: target, gram: gram, decoded: decoded, length: length, width: width, old: scales,
      steps: Self.steps(mask) { row in
        Base.mixed(base).decoded(rows: row..<row + 1).values.enumerated().map { column, value in
          value / scales[row * width + column / length]
        }
      },
      rounding: base.scaleRounding)
  }

  /// Of one plane of binary-coded weights, the others as they are.
  init(
    base: PlaneBase, plane: Int, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>,
    decoded: Matrix<Float>
  ) {
    let (scheme, scales) = (base.scheme, base.scales.floats())
    self.init(
      target: target, gram: gram, decoded: decoded, length: base.groupLength, width: base.groups,
      old: stride(from: plane, to: scales.count, by: scheme.planes).map { scales[$0] },
      steps: Self.steps(mask) { row in
        base.unpackedCodes(row: row).map { $0 >> plane & 1 == 1 ? 1 : -1 }
      },
      rounding: { scheme.stored($0) })
  }

  /// Of ggml's blocks.
  ///
  /// Unknown are the f16 that a block's scales are multiples of and, where there are minima, that of
  /// the minima. Signs stay.
  init(
    base: BlockBase, mask: Mask?, target: Matrix<Float>, gram: Matrix<Float>,
    decoded: Matrix<Float>
  ) {
    let terms = base.format.hasMinima ? 2 : 1
    self.init(
      target: target, gram: gram, decoded: decoded, length: base.format.length,
      width: base.blocksPerRow * terms, terms: terms, old: base.multipliers().map { abs($0) },
      steps: { base.multiplierSteps(rows: $0, mask: mask) },
      rounding: { FloatConversion.float16(FloatConversion.float16Bits(min($0, 65504))) })
  }

  /// Rows' steps, zero where the mask drops them.
  private static func steps(
    _ mask: Mask?, of line: @escaping @Sendable (_ row: Int) -> [Float]
  ) -> @Sendable (Range<Int>) -> [Float] {
    { rows in
      var result: [Float] = []
      for row in rows {
        var values = line(row)
        if let mask {
          for column in values.indices where !mask.isKept(row, column) { values[column] = 0 }
        }
        result += values
      }
      return result
    }
  }
}
