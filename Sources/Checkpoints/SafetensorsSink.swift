import JSONText
import Tensors

/// A safetensors file being written.
///
/// The layout is a function of what is given: metadata with sorted keys, then the tensors in the
/// order in which they were given, one after another. The header is padded with spaces so that the
/// data begins at a multiple of 8.
public final class SafetensorsSink: TensorSink {
  private let file: PlacedTensors
  private let isDurable: Bool

  /// Lays the file out and reserves its whole size on the disk.
  ///
  /// - Parameters:
  ///   - path: the target, replaced when `finish` is called and not before.
  ///   - tensors: names, types and shapes; their storage and attributes do not matter.
  ///   - strings: what `__metadata__` is to hold.
  ///   - isDurable: whether `finish` waits for the disk.
  /// - Throws: `CheckpointError.nameNotPossible`, `.headerTooLongToWrite`, `.diskFull` or
  ///   `.cannotWrite`.
  public init(
    path: String, tensors: [TensorDescription], strings: [String: String] = [:],
    isDurable: Bool = true
  ) throws(CheckpointError) {
    let total = SafetensorsSource.totalByteCount(of: tensors)
    guard total < Int.max - SafetensorsHeader.maximumBytes - 8 else {
      throw .diskFull(
        path: path, neededBytes: total,
        availableBytes: FileIO.availableBytes(inFolder: FileIO.folder(of: path)))
    }
    let header = try Self.header(path: path, tensors: tensors, strings: strings)
    var places: [(name: String, bytes: Range<Int>)] = []
    var end = header.count
    for tensor in tensors {
      places.append((tensor.name, end..<end + tensor.byteCount))
      end += tensor.byteCount
    }
    file = try PlacedTensors(path: path, header: header, places: places, byteCount: end)
    self.isDurable = isDurable
  }

  /// Writes bytes of a tensor; a name or a range that was not announced is a bug of the caller.
  public func write(
    _ bytes: UnsafeRawBufferPointer, to tensor: String, at byteOffset: Int
  ) throws(CheckpointError) {
    try file.write(bytes, to: tensor, at: byteOffset)
  }

  /// The place of a tensor's first byte in the file.
  public func position(of tensor: String) -> Int { file.position(of: tensor) }

  /// Flushes to the disk and renames into place.
  ///
  /// - Throws: `CheckpointError.tensorIncomplete` when bytes of a tensor were never written: zeros
  ///   that nobody meant must not pass for weights.
  public func finish() throws(CheckpointError) { try file.finish(durably: isDurable) }

  /// The length field and the padded header.
  private static func header(
    path: String, tensors: [TensorDescription], strings: [String: String]
  ) throws(CheckpointError) -> [UInt8] {
    var members: [String] = []
    if !strings.isEmpty {
      let texts = strings.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { JSONValue($0.key).text() + ":" + JSONValue($0.value).text() }
      members.append("\"\(SafetensorsHeader.metadataKey)\":{\(texts.joined(separator: ","))}")
    }
    var names = Set<String>()
    var offset = 0
    for tensor in tensors {
      guard tensor.name != SafetensorsHeader.metadataKey else {
        throw .output(
          path: path,
          .nameNotPossible(
            tensor: tensor.name, reason: "the format keeps this name for its metadata"))
      }
      guard names.insert(tensor.name).inserted else {
        throw .output(
          path: path, .nameNotPossible(tensor: tensor.name, reason: "it is given twice"))
      }
      let shape = tensor.shape.dimensions.map(String.init).joined(separator: ",")
      members.append(
        "\(JSONValue(tensor.name).text()):{\"dtype\":\"\(SafetensorsDType.name(of: tensor.dtype))\","
          + "\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(offset + tensor.byteCount)]}")
      offset += tensor.byteCount
    }
    var text = Array("{\(members.joined(separator: ","))}".utf8)
    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
    guard text.count <= SafetensorsHeader.maximumBytes else {
      throw .output(
        path: path, .headerTooLongToWrite(length: text.count, limit: SafetensorsHeader.maximumBytes)
      )
    }
    let length = UInt64(text.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + text
  }
}
