/// Reads a GGUF header from its beginning, a window at a time.
struct GGUFCursor {
  let path: String
  private(set) var position = 0
  private let file: ReadOnlyFile
  private var window: [UInt8] = []
  private var windowStart = 0

  private static let windowBytes = 1 << 20
  /// One text may be this long: a chat template, not a novel.
  private static let maximumText = 16 << 20
  private static let maximumDepth = 4

  init(_ file: ReadOnlyFile) throws(CheckpointError) {
    self.file = file
    path = file.path
  }

  /// The next bytes.
  mutating func bytes(_ count: Int) throws(CheckpointError) -> [UInt8] {
    guard position + count <= GGUFHeader.maximumBytes else {
      throw .gguf(path: path, .headerTooLong(limit: GGUFHeader.maximumBytes))
    }
    let end = windowStart + window.count
    if position < windowStart || position + count > end {
      guard count <= file.size - position else {
        throw .gguf(path: path, .headerCut(at: position, size: file.size))
      }
      let length = min(max(count, Self.windowBytes), file.size - position)
      window = try file.bytes(position..<position + length)
      windowStart = position
    }
    let first = position - windowStart
    position += count
    return Array(window[first..<first + count])
  }

  /// A little-endian integer.
  mutating func integer<Value: FixedWidthInteger>() throws(CheckpointError) -> Value {
    let bytes = try bytes(Value.bitWidth / 8)
    return bytes.enumerated().reduce(0) {
      $0 | Value(truncatingIfNeeded: $1.element) << ($1.offset * 8)
    }
  }

  /// A number of things that follow; each takes at least a byte, so that the file bounds it too.
  mutating func count(limit: Int, of what: String) throws(CheckpointError) -> Int {
    let count: UInt64 = try integer()
    guard count <= UInt64(min(limit, max(0, file.size - position))) else {
      throw .gguf(path: path, .count(what, count))
    }
    return Int(count)
  }

  /// A text: its length, then UTF-8.
  mutating func string() throws(CheckpointError) -> String {
    let length = try count(limit: Self.maximumText, of: "bytes of a text")
    let bytes = try bytes(length)
    // Tokens of byte-level vocabularies may be cut within a character: repaired, not refused.
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A metadata value of a type.
  mutating func value(
    ofType type: UInt32, depth: Int = 0
  ) throws(CheckpointError) -> GGUFValue {
    switch type {
    case 0: return .u8(try integer())
    case 1: return .i8(try integer())
    case 2: return .u16(try integer())
    case 3: return .i16(try integer())
    case 4: return .u32(try integer())
    case 5: return .i32(try integer())
    case 6: return .f32(Float(bitPattern: try integer()))
    case 7: return .bool(try integer() as UInt8 != 0)
    case 8: return .string(try string())
    case 9:
      guard depth < Self.maximumDepth else { throw .gguf(path: path, .nesting) }
      let element: UInt32 = try integer()
      let count = try count(limit: 1 << 24, of: "values of an array")
      var values: [GGUFValue] = []
      values.reserveCapacity(count)
      for _ in 0..<count { values.append(try value(ofType: element, depth: depth + 1)) }
      return .array(type: element, values)
    case 10: return .u64(try integer())
    case 11: return .i64(try integer())
    case 12: return .f64(Double(bitPattern: try integer()))
    default: throw .gguf(path: path, .valueType(type))
    }
  }
}
