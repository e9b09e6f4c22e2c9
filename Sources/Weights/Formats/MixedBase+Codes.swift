import Tensors

extension MixedBase {
  /// The scales of every row's groups in the groups' own order, `rows × groups`.
  public func scaleValues() -> [Float] {
    let total = columns / group
    var result = [Float](repeating: 0, count: rows * total)
    for (base, groups) in zip(classes, groups) {
      let own: [Float] =
        switch base {
        case .integer(let integer): integer.scales.floats()
        case .table(let table): table.scaleValues()
        case .dense, .sparse, .blocks, .mixed, .planes: []
        }
      for row in 0..<rows {
        for (place, index) in groups.enumerated() {
          result[row * total + index] = own[row * groups.count + place]
        }
      }
    }
    return result
  }

  /// What becomes of a scale where it is stored, whatever its class.
  public var scaleRounding: @Sendable (Float) -> Float {
    let roundings: [@Sendable (Float) -> Float] = classes.map { base in
      switch base {
      case .integer(let integer):
        let grid = integer.grid
        return { grid.stored(scale: $0) }
      case .table(let table): return table.scaleRounding ?? { $0 }
      case .dense, .sparse, .blocks, .mixed, .planes: return { $0 }
      }
    }
    return { scale in roundings.reduce(scale) { $1($0) } }
  }

  /// The same codes with other scales, stored ones already, `rows × groups`.
  public func with(scales: [Float]) -> MixedBase {
    let total = columns / group
    return replacing { base, groups in
      var own: [Float] = []
      for row in 0..<rows { own += groups.map { scales[row * total + $0] } }
      switch base {
      case .integer(var integer):
        integer.scales = integer.grid.tensor(ofScales: own, shape: integer.scales.shape)
        return .integer(integer)
      case .table(let table): return .table(table.with(scales: own))
      case .dense, .sparse, .blocks, .mixed, .planes: return base
      }
    }
  }

  /// The same scales with other codes, `rows × columns`, one a byte.
  func with(codes: [UInt8]) -> MixedBase {
    replacing { base, groups in
      var own: [UInt8] = []
      own.reserveCapacity(rows * groups.count * group)
      for row in 0..<rows {
        for index in groups {
          let start = row * columns + index * group
          own += codes[start..<start + group]
        }
      }
      switch base {
      case .integer(let integer):
        let width = integer.columns
        let packed = (0..<rows).flatMap {
          PackedCodes.pack(
            Array(own[$0 * width..<($0 + 1) * width]), bits: integer.grid.bits)
        }
        return .integer(
          IntegerBase(
            grid: integer.grid, rows: rows, columns: width,
            codes: Tensor(dtype: .u8, shape: integer.codes.shape, array: packed),
            scales: integer.scales, zeros: integer.zeros))
      case .table(let table): return .table(table.with(codes: own))
      case .dense, .sparse, .blocks, .mixed, .planes: return base
      }
    }
  }

  private func replacing(_ change: (Base, [Int]) -> Base) -> MixedBase {
    MixedBase(
      rows: rows, columns: columns, group: group, members: members,
      classes: zip(classes, groups).map(change))
  }
}
