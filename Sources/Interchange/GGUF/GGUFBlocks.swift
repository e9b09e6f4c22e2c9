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

  /// The blocks of a base, rows in `order`.
  static func encode(_ base: IntegerBase, as type: GGUFBlockType, order: [Int]?) -> Bytes {
    let numbers = base.unpacked()
    let blocks = numbers.columns / 32
    let middle = 1 << (numbers.bits - 1)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(numbers.rows * blocks * type.blockBytes)
    for position in 0..<numbers.rows {
      let row = order?[position] ?? position
      for block in 0..<blocks {
        let group = row * numbers.groups + block * 32 / numbers.group
        let first = row * numbers.columns + block * 32
        let codes = numbers.codes[first..<first + 32]
        let scale = numbers.scales[group]
        append(scale, to: &bytes)
        switch type {
        case .q4v0: nibbles(codes.map { Int($0) - middle + 8 }, to: &bytes)
        case .q5v0: fiveBits(codes.map { Int($0) - middle + 16 }, to: &bytes)
        case .q8v0: bytes += codes.map { UInt8(bitPattern: Int8(Int($0) - middle)) }
        case .q4v1:
          append(-Float(numbers.zeros[group]) * scale, to: &bytes)
          nibbles(codes.map { Int($0) }, to: &bytes)
        default:
          append(-Float(numbers.zeros[group]) * scale, to: &bytes)
          fiveBits(codes.map { Int($0) }, to: &bytes)
        }
      }
    }
    return Bytes(bytes)
  }

  private static func append(_ value: Float, to bytes: inout [UInt8]) {
    let bits = FloatConversion.float16Bits(value)
    bytes.append(UInt8(truncatingIfNeeded: bits))
    bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
  }

  /// Byte j: element j in the low nibble, j + 16 in the high one.
  private static func nibbles(_ codes: [Int], to bytes: inout [UInt8]) {
    for index in 0..<16 {
      bytes.append(UInt8(codes[index] & 15) | UInt8(codes[index + 16] & 15) << 4)
    }
  }

  /// The fifth bits as one 32-bit word, then the nibbles.
  private static func fiveBits(_ codes: [Int], to bytes: inout [UInt8]) {
    let high = codes.enumerated().reduce(UInt32(0)) {
      $0 | UInt32($1.element >> 4 & 1) << UInt32($1.offset)
    }
    for shift in stride(from: 0, to: 32, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: high >> UInt32(shift)))
    }
    nibbles(codes, to: &bytes)
  }
}
