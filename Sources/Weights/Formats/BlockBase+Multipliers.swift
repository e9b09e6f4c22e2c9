import Tensors

/// The f16 numbers of blocks, which their scales and minima are whole multiples of.
extension BlockBase {
  private var terms: Int { format.hasMinima ? 2 : 1 }

  /// Per row: d of every block, then of formats with minima the number of the minima.
  public func multipliers() -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(rows * blocksPerRow * terms)
    for row in 0..<rows {
      let blocks = (0..<blocksPerRow).map { block(row: row, index: $0) }
      result += blocks.map(\.d)
      if format.hasMinima { result += blocks.map(\.minimum) }
    }
    return result
  }

  /// What the magnitudes of `multipliers` are multiplied by, ⊙ mask.
  ///
  /// Scale · code and −minimum, with the multiplier's sign; some rows × columns, one term after the
  /// other.
  public func multiplierSteps(rows range: Range<Int>, mask: Mask?) -> [Float] {
    let count = range.count * columns
    var result = [Float](repeating: 0, count: count * terms)
    for (line, row) in range.enumerated() {
      for index in 0..<blocksPerRow {
        let block = block(row: row, index: index)
        let sign: Float = block.d < 0 ? -1 : 1
        let minimumSign: Float = block.minimum < 0 ? -1 : 1
        for place in 0..<format.length {
          let column = index * format.length + place
          guard mask?.isKept(row, column) ?? true else { continue }
          let sub = place / format.subLength
          result[line * columns + column] = sign * Float(block.scales[sub] * block.codes[place])
          if format.hasMinima {
            result[count + line * columns + column] = -minimumSign * Float(block.minima[sub])
          }
        }
      }
    }
    return result
  }

  /// The same codes, scales and minima as multiples of other numbers.
  ///
  /// f16 ones, of which the magnitudes are given in the order of `multipliers`; signs stay.
  public func with(multipliers: [Float]) -> BlockBase {
    precondition(multipliers.count == rows * blocksPerRow * terms, "\(multipliers.count) numbers")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(blocks.bytes.count)
    for row in 0..<rows {
      let start = row * blocksPerRow * terms
      for index in 0..<blocksPerRow {
        var block = block(row: row, index: index)
        block.d = block.d < 0 ? -multipliers[start + index] : multipliers[start + index]
        if format.hasMinima {
          let minimum = multipliers[start + blocksPerRow + index]
          block.minimum = block.minimum < 0 ? -minimum : minimum
        }
        bytes += block.bytes(format: format)
      }
    }
    var result = self
    result.blocks = Tensor(dtype: .u8, shape: blocks.shape, array: bytes)
    return result
  }
}
