import Checkpoints
import Tensors
import Weights

/// Weights as GGUF's blocks, where there is an exact way.
enum GGUFBlocks {
  /// The type that holds a base exactly, or why none does.
  enum Choice {
    case exact(GGUFBlockType)
    case none(reason: String, nearest: GGUFBlockType)
  }

  /// Codes and scales go into blocks of 32 unchanged when scales are f16, groups are multiples of
  /// 32 and zero points are the middle; d repeats within a group.
  static func choice(for base: IntegerBase) -> Choice {
    let grid = base.grid
    let nearest: GGUFBlockType = grid.bits <= 4 ? .q4v1 : grid.bits == 5 ? .q5v1 : .q8v0
    guard base.columns % 32 == 0 else {
      return .none(reason: "rows of \(base.columns) are no multiple of 32", nearest: .f16)
    }
    if let group = grid.groupLength, group % 32 != 0 {
      return .none(reason: "groups of \(group) are no multiple of 32", nearest: nearest)
    }
    guard base.scalesFit(.f16) else {
      return .none(reason: "its scales are not exact in f16", nearest: nearest)
    }
    if grid.symmetric {
      return .exact(grid.bits <= 4 ? .q4v0 : grid.bits == 5 ? .q5v0 : .q8v0)
    }
    guard grid.bits <= 5 else {
      return .none(reason: "blocks of 8 bits have no zero point", nearest: .q8v0)
    }
    guard offsetsFit(base) else {
      return .none(
        reason: "a zero point times its scale is not exact in f16", nearest: nearest)
    }
    return .exact(grid.bits <= 4 ? .q4v1 : .q5v1)
  }

  private static func offsetsFit(_ base: IntegerBase) -> Bool {
    let numbers = base.unpacked()
    return zip(numbers.scales, numbers.zeros).allSatisfy { scale, zero in
      let offset = -Float(zero) * scale
      return FloatConversion.float16(FloatConversion.float16Bits(offset)) == offset
    }
  }
}
