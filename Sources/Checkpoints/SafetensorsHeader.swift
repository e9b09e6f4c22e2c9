import JSONText
import Tensors

/// The header of a safetensors file, validated.
///
/// The format: 8 bytes of little-endian header length n, n bytes of JSON padded with spaces, then
/// the data. The JSON maps each name to `dtype`, `shape` and `data_offsets` (from the data's
/// beginning), and `__metadata__` to texts. What holds of a value of this type:
///
/// 1. Names are unique; types are known; no extent is negative and no product overflows.
/// 2. Each tensor's offsets span exactly the bytes that its type and shape need.
/// 3. In order of offset the tensors follow one another without a hole or an overlap, from the
///    data's first byte to the file's last.
struct SafetensorsHeader {
  /// The longest header that is read, as in the format's reference implementation: a length that
  /// a hostile file states is not a reason to allocate it.
  static let maximumBytes = 100_000_000

  /// The key that maps to texts and not to a tensor.
  static let metadataKey = "__metadata__"

  /// One tensor, with its bytes' range from the data's beginning.
  struct Entry {
    var name: String
    var dtype: DType
    var shape: Shape
    var range: Range<Int>
  }

  /// The tensors in order of their offsets.
  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]
  /// Where in the file the data begins.
  let dataOffset: Int

  /// Reads and validates a file's header.
  init(reading file: ReadOnlyFile) throws(CheckpointError) {
    let path = file.path
    guard file.size >= 8 else { throw .safetensors(path: path, .tooShort(size: file.size)) }
    let length = try file.bytes(0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(Self.maximumBytes) else {
      throw .safetensors(path: path, .headerTooLong(length: length, limit: Self.maximumBytes))
    }
    dataOffset = 8 + Int(length)
    guard dataOffset <= file.size else {
      throw .safetensors(path: path, .headerPastEnd(length: Int(length), size: file.size))
    }
    let object = try Self.object(try file.bytes(8..<dataOffset), path: path)
    for (key, value) in object.members {
      if key == Self.metadataKey {
        metadata = try Self.texts(value, path: path)
      } else {
        entries.append(try Self.entry(key, value, path: path))
      }
    }
    try order(dataBytes: file.size - dataOffset, path: path)
  }

  private static func object(_ bytes: [UInt8], path: String) throws(CheckpointError) -> JSONObject {
    let value: JSONValue
    do {
      value = try JSONParser.parse(bytes)
    } catch .duplicateKey(let key, _) {
      throw .safetensors(path: path, .duplicateName(name: key))
    } catch {
      throw .safetensors(path: path, .headerNotJSON(reason: "\(error)"))
    }
    guard let object = value.object else {
      throw .safetensors(path: path, .headerNotJSON(reason: "it is not an object"))
    }
    return object
  }

  private static func texts(
    _ value: JSONValue, path: String
  ) throws(CheckpointError) -> [String: String] {
    guard let object = value.object else {
      throw .safetensors(path: path, .metadataNotText(key: metadataKey))
    }
    var texts: [String: String] = [:]
    for (key, value) in object.members {
      guard let text = value.string else {
        throw .safetensors(path: path, .metadataNotText(key: key))
      }
      texts[key] = text
    }
    return texts
  }

  private static func entry(
    _ name: String, _ value: JSONValue, path: String
  ) throws(CheckpointError) -> Entry {
    func invalid(_ field: String, _ expected: String) -> CheckpointError {
      .safetensors(path: path, .fieldInvalid(tensor: name, field: field, expected: expected))
    }
    guard let object = value.object else {
      throw invalid("entry", "an object with dtype, shape and data_offsets")
    }
    // A field that is not known might change what the others mean.
    for key in object.keys where key != "dtype" && key != "shape" && key != "data_offsets" {
      throw invalid(key, "absent: only dtype, shape and data_offsets are known")
    }
    guard let typeName = object["dtype"]?.string else { throw invalid("dtype", "a text") }
    guard let dtype = SafetensorsDType.dtype(named: typeName) else {
      throw .safetensors(path: path, .unknownDType(tensor: name, dtype: typeName))
    }
    guard let extents = integers(object["shape"]), extents.count <= 32 else {
      throw invalid("shape", "a list of at most 32 integers of 64 bits")
    }
    guard let offsets = integers(object["data_offsets"]), offsets.count == 2 else {
      throw invalid("data_offsets", "a list of two integers of 64 bits")
    }
    let shape: Shape
    let byteCount: Int
    do {
      shape = try Shape(checking: extents)
      byteCount = try shape.byteCount(of: dtype)
    } catch .negativeExtent(let shape) {
      throw .safetensors(path: path, .negativeExtent(tensor: name, shape: shape))
    } catch {
      throw .safetensors(path: path, .shapeOverflows(tensor: name, shape: extents))
    }
    guard 0 <= offsets[0], offsets[0] <= offsets[1] else {
      throw .safetensors(
        path: path, .offsetsReversed(tensor: name, begin: offsets[0], end: offsets[1]))
    }
    guard byteCount == offsets[1] - offsets[0] else {
      throw .safetensors(
        path: path,
        .wrongByteCount(tensor: name, expected: byteCount, found: offsets[1] - offsets[0]))
    }
    return Entry(name: name, dtype: dtype, shape: shape, range: offsets[0]..<offsets[1])
  }

  /// Integers written as such: 1.0 and 1e3 are numbers to JSON but no extents to this format.
  private static func integers(_ value: JSONValue?) -> [Int]? {
    guard let elements = value?.array else { return nil }
    var result: [Int] = []
    for case .number(let text) in elements {
      guard let integer = Int(text) else { return nil }
      result.append(integer)
    }
    return result.count == elements.count ? result : nil
  }

  private mutating func order(dataBytes: Int, path: String) throws(CheckpointError) {
    // Empty tensors share their offset with the next one and come before it.
    entries.sort {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    var end = 0
    var last = ""
    for entry in entries {
      let begin = entry.range.lowerBound
      if begin < end { throw .safetensors(path: path, .overlap(tensor: entry.name, other: last)) }
      if begin > end {
        throw .safetensors(path: path, .hole(tensor: entry.name, begin: begin, expected: end))
      }
      end = entry.range.upperBound
      if end > dataBytes {
        throw .safetensors(
          path: path, .offsetsPastEnd(tensor: entry.name, end: end, available: dataBytes))
      }
      last = entry.name
    }
    guard end == dataBytes else {
      throw .safetensors(path: path, .bytesLeftOver(count: dataBytes - end))
    }
  }
}
