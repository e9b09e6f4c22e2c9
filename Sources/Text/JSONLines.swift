import Foundation
import JSONText

/// One line of a JSONL file.
public struct TextRecord: Sendable, Hashable {
  /// The line's number, from 1.
  public let line: Int
  /// The file, for messages.
  public let source: String
  public let fields: JSONObject

  public init(line: Int, source: String, fields: JSONObject) {
    self.line = line
    self.source = source
    self.fields = fields
  }

  /// The value of a field as text; numbers as they are written.
  ///
  /// - Throws: `TextError.missingField`, with a suggestion, or `TextError.fieldNotText`.
  public func text(_ field: String) throws(TextError) -> String {
    switch fields[field] {
    case .string(let text): return text
    case .number(let text): return text
    case nil:
      throw .missingField(
        source: source, line: line, field: field, known: fields.keys,
        suggestion: Spelling.nearest(to: field, among: fields.keys))
    default: throw .fieldNotText(source: source, line: line, field: field)
    }
  }

  /// The label in a field: which of some options is right.
  ///
  /// - Throws: `TextError.labelOutOfRange` for anything but a whole number below their count.
  public func label(_ field: String = "label", options: [String]) throws(TextError) -> Int {
    let text = try text(field)
    guard let label = fields[field]?.int ?? Int(text), options.indices.contains(label) else {
      throw .labelOutOfRange(source: source, line: line, label: text, options: options)
    }
    return label
  }
}

/// Reads the records of a JSONL file one at a time, a chunk of the file in memory.
///
/// Blank lines are passed over but counted; a byte order mark at the start is left out.
public struct JSONLines: ~Copyable {
  /// Longer lines are refused: a file without line breaks is no JSONL.
  public static let longestLine = 64 << 20

  private let path: String
  private let file: FileHandle
  private var buffer: [UInt8] = []
  private var position = 0
  private var line = 0
  private var isAtEnd = false

  public init(path: String) throws(TextError) {
    self.path = path
    do {
      file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    } catch {
      throw .cannotRead(path: path, reason: error.localizedDescription)
    }
  }

  deinit { try? file.close() }

  /// All records of a file.
  ///
  /// - Throws: `TextError.emptyText` when there are none.
  public static func records(_ path: String) throws(TextError) -> [TextRecord] {
    var reader = try JSONLines(path: path)
    var result: [TextRecord] = []
    while let record = try reader.next() { result.append(record) }
    guard !result.isEmpty else { throw .emptyText(source: path) }
    return result
  }

  /// The next record; nil at the end of the file.
  ///
  /// - Throws: `TextError` naming the file and the line.
  public mutating func next() throws(TextError) -> TextRecord? {
    while let bytes = try nextLine() {
      if bytes.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) { continue }
      let value: JSONValue
      do {
        value = try JSONParser.parse(bytes)
      } catch {
        throw .badRecord(path: path, line: line, error: error)
      }
      guard let fields = value.object else { throw .recordNotObject(path: path, line: line) }
      return TextRecord(line: line, source: path, fields: fields)
    }
    return nil
  }

  private mutating func nextLine() throws(TextError) -> [UInt8]? {
    var searched = position
    while true {
      if let end = buffer[searched...].firstIndex(of: 0x0A) {
        defer { position = end + 1 }
        return takeLine(end)
      }
      searched = buffer.count
      if isAtEnd {
        guard position < buffer.count else { return nil }
        defer { position = buffer.count }
        return takeLine(buffer.count)
      }
      guard buffer.count - position <= Self.longestLine else {
        throw .recordTooLong(path: path, line: line + 1, limit: Self.longestLine)
      }
      buffer.removeFirst(position)
      searched -= position
      position = 0
      try fill()
    }
  }

  private mutating func takeLine(_ end: Int) -> [UInt8] {
    line += 1
    var bytes = buffer[position..<end]
    if line == 1, bytes.starts(with: TextFile.byteOrderMark) { bytes = bytes.dropFirst(3) }
    return Array(bytes)
  }

  private mutating func fill() throws(TextError) {
    do {
      let chunk = try file.read(upToCount: 1 << 20) ?? Data()
      isAtEnd = chunk.isEmpty
      buffer += chunk
    } catch {
      throw .cannotRead(path: path, reason: error.localizedDescription)
    }
  }
}
