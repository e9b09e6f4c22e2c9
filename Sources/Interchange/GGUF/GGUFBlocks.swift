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
    // What is added to a code so that it is the block's own; 8 bits are signed there.
    let shift =
      switch type {
      case .q4v0: 8 - middle
      case .q5v0: 16 - middle
      case .q8v0: -middle
      default: 0
      }
    let hasOffset = type == .q4v1 || type == .q5v1
    return numbers.codes.withUnsafeBufferPointer { codes in
      Bytes(count: numbers.rows * blocks * type.blockBytes) { target in
        guard let start = target.baseAddress, let codes = codes.baseAddress else { return }
        for position in 0..<numbers.rows {
          let row = order?[position] ?? position
          for block in 0..<blocks {
            let group = row * numbers.groups + block * 32 / numbers.group
            let scale = numbers.scales[group]
            var place = start + (position * blocks + block) * type.blockBytes
            append(scale, to: &place)
            if hasOffset { append(-Float(numbers.zeros[group]) * scale, to: &place) }
            let from = codes + row * numbers.columns + block * 32
            switch type {
            case .q8v0:
              for index in 0..<32 {
                place.storeBytes(
                  of: UInt8(truncatingIfNeeded: Int(from[index]) + shift), toByteOffset: index,
                  as: UInt8.self)
              }
            case .q4v0, .q4v1: nibbles(from, shift, to: place)
            default: fiveBits(from, shift, to: place)
            }
          }
        }
      }
    }
  }

  private static func append(_ value: Float, to place: inout UnsafeMutableRawPointer) {
    place.storeBytes(of: FloatConversion.float16Bits(value).littleEndian, as: UInt16.self)
    place += 2
  }

  /// Byte j: element j in the low nibble, j + 16 in the high one.
  private static func nibbles(
    _ codes: UnsafePointer<UInt8>, _ shift: Int, to place: UnsafeMutableRawPointer
  ) {
    for index in 0..<16 {
      let low = UInt8(truncatingIfNeeded: Int(codes[index]) + shift) & 15
      let high = UInt8(truncatingIfNeeded: Int(codes[index + 16]) + shift) & 15
      place.storeBytes(of: low | high << 4, toByteOffset: index, as: UInt8.self)
    }
  }

  /// The fifth bits as one 32-bit word, then the nibbles.
  private static func fiveBits(
    _ codes: UnsafePointer<UInt8>, _ shift: Int, to place: UnsafeMutableRawPointer
  ) {
    var high: UInt32 = 0
    for index in 0..<32 {
      high |= UInt32(truncatingIfNeeded: (Int(codes[index]) + shift) >> 4 & 1) << UInt32(index)
    }
    // A block's bytes lie anywhere.
    for byte in 0..<4 {
      place.storeBytes(
        of: UInt8(truncatingIfNeeded: high >> UInt32(byte * 8)), toByteOffset: byte,
        as: UInt8.self)
    }
    nibbles(codes, shift, to: place + 4)
  }
}
