import Kernels

extension ActivationScheme {
  /// Rounds rows in place, `rows × width`.
  ///
  /// Every row by itself: how rows are cut into calls and shared among workers changes nothing.
  public func apply(_ x: UnsafeMutablePointer<Float>, rows: Int, width: Int) {
    guard rows > 0, width > 0 else { return }
    var grid = grid
    pith_round_activations(x, rows, width, width, run(width: width), &grid)
  }

  /// The plain twin of `apply`.
  func applyByReference(_ x: UnsafeMutablePointer<Float>, rows: Int, width: Int) {
    guard rows > 0, width > 0 else { return }
    var grid = grid
    pith_round_activations_reference(x, rows, width, width, run(width: width), &grid)
  }

  private func run(width: Int) -> Int {
    switch granularity {
    case .block(let run), .tensorBlock(let run, _): run
    case .token, .tensor: width
    }
  }

  private var grid: PithActivationGrid {
    var grid = PithActivationGrid()
    if let float = format.minifloat {
      grid.kind = Int32(PITH_ROUND_FLOAT)
      grid.mantissa = Int32(float.mantissaBits)
      grid.smallest_normal = Float(sign: .plus, exponent: 1 - float.bias, significand: 1)
      grid.largest = float.maximum
    } else if let bits = format.integerBits {
      grid.kind = Int32(symmetric ? PITH_ROUND_SYMMETRIC : PITH_ROUND_ZERO_POINT)
      grid.levels = Float(symmetric ? 1 << (bits - 1) - 1 : 1 << bits - 1)
      grid.largest = grid.levels
    }
    grid.scale =
      switch scale {
      case .f32: Int32(PITH_SCALE_F32)
      case .e8m0: Int32(PITH_SCALE_EXPONENT)
      case .e4m3: Int32(PITH_SCALE_E4M3)
      }
    grid.clip = clip
    switch granularity {
    case .tensor(let maximum?): grid.maximum = maximum * clip
    case .tensorBlock(_, let maximum?): grid.step = maximum * clip / (448 * grid.largest)
    default: break
    }
    return grid
  }
}
