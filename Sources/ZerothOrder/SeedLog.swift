import Foundation
import JSONText

/// The log of a run: what it started from, its options, and one slope per direction and step.
///
/// With the base it is the whole result: replaying gives the same bytes. Version 1, little-endian:
///
///     "PITHZOL1"  u32 length  header (JSON)  records…
///     step        'S'  u32 step  u8 flags (1 skipped, 2 clipped)  f32 loss  f32 slope × directions
///     evaluation  'E'  u32 step  f64 loss  f64 accuracy (NaN: none)
///     end         'Z'  u32 step  64 bytes: SHA-256 of the result's coordinates, hexadecimal
///
/// A record that a kill cut off is not counted; everything before it is.
public struct SeedLog: Sendable {
  public struct Step: Sendable, Hashable {
    public var isSkipped: Bool
    public var isClipped: Bool
    /// The mean of the sides' losses.
    public var loss: Float
    public var slopes: [Float]
  }

  public struct Evaluation: Sendable, Hashable {
    public var step: Int
    public var loss: Double
    public var accuracy: Double?
  }

  public let path: String
  public let header: SeedLogHeader
  public private(set) var steps: [Step] = []
  public private(set) var evaluations: [Evaluation] = []
  /// The step whose state is the result, and the hash of its coordinates; nil when unfinished.
  public private(set) var end: (step: Int, hash: String)?
  /// Bytes up to the last whole record.
  public private(set) var validBytes = 0

  static let magic = Array("PITHZOL1".utf8)
  static let version = 1

  /// Reads a log.
  ///
  /// - Throws: `ZerothOrderError.notALog`, `.logVersion`, `.logDamaged`, `.logFile`.
  public init(path: String) throws(ZerothOrderError) {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .logFile(path: path, reason: "there is no such file, or it cannot be read")
    }
    let bytes = [UInt8](data)
    self.path = path
    guard bytes.starts(with: Self.magic), bytes.count >= 12 else { throw .notALog(path: path) }
    let length = Int(Self.read(UInt32.self, bytes, 8))
    guard length > 0, 12 + length <= bytes.count,
      let json = try? JSONParser.parse(Array(bytes[12..<12 + length]))
    else { throw .logDamaged(path: path, reason: "its header is cut off or no JSON") }
    header = try SeedLogHeader(json: json, path: path)
    var place = 12 + length
    validBytes = place
    while place < bytes.count, try readRecord(bytes, &place) { validBytes = place }
  }

  private static func read<T: FixedWidthInteger>(
    _ type: T.Type, _ bytes: [UInt8], _ place: Int
  ) -> T {
    (0..<T.bitWidth / 8).reduce(T.zero) {
      $0 | T(truncatingIfNeeded: bytes[place + $1]) << ($1 * 8)
    }
  }

  /// Reads a record if it is whole.
  private mutating func readRecord(
    _ bytes: [UInt8], _ place: inout Int
  ) throws(ZerothOrderError) -> Bool {
    let directions = header.options.directions
    let size: Int
    switch bytes[place] {
    case UInt8(ascii: "S"): size = 10 + 4 * directions
    case UInt8(ascii: "E"): size = 21
    case UInt8(ascii: "Z"): size = 69
    default:
      throw .logDamaged(path: path, reason: "byte \(place) begins no record")
    }
    guard place + size <= bytes.count else { return false }
    let step = Int(Self.read(UInt32.self, bytes, place + 1))
    func float(_ offset: Int) -> Float {
      Float(bitPattern: Self.read(UInt32.self, bytes, place + offset))
    }
    func double(_ offset: Int) -> Double {
      Double(bitPattern: Self.read(UInt64.self, bytes, place + offset))
    }
    switch bytes[place] {
    case UInt8(ascii: "S"):
      guard step == steps.count else {
        throw .logDamaged(path: path, reason: "step \(step) stands in the place of \(steps.count)")
      }
      steps.append(
        Step(
          isSkipped: bytes[place + 5] & 1 != 0, isClipped: bytes[place + 5] & 2 != 0,
          loss: float(6), slopes: (0..<directions).map { float(10 + 4 * $0) }))
    case UInt8(ascii: "E"):
      let accuracy = double(13)
      evaluations.append(
        Evaluation(step: step, loss: double(5), accuracy: accuracy.isNaN ? nil : accuracy))
    default:
      end = (step, String(decoding: bytes[place + 5..<place + 69], as: UTF8.self))
    }
    place += size
    return true
  }

  /// The evaluation whose state is kept: the least loss, the first of equals.
  public var best: Evaluation? {
    evaluations.filter { $0.loss.isFinite }.min { $0.loss < $1.loss }
  }
}

/// Appends to a log; every record is handed to the system whole.
final class SeedLogWriter {
  private let path: String
  private let descriptor: Int32

  /// Begins a log.
  init(path: String, header: SeedLogHeader) throws(ZerothOrderError) {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Self.failure(path) }
    let text = Array(header.json.text(.canonical).utf8)
    try write(SeedLog.magic + Self.bytes(UInt32(text.count)) + text)
  }

  /// Goes on with a log, whatever is behind its last whole record cut off.
  init(continuing log: SeedLog) throws(ZerothOrderError) {
    path = log.path
    descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure(path) }
    guard ftruncate(descriptor, off_t(log.validBytes)) == 0,
      lseek(descriptor, 0, SEEK_END) >= 0
    else { throw Self.failure(path) }
  }

  deinit { close(descriptor) }

  func append(_ step: SeedLog.Step, number: Int) throws(ZerothOrderError) {
    let flags: UInt8 = (step.isSkipped ? 1 : 0) | (step.isClipped ? 2 : 0)
    var record = [UInt8(ascii: "S")] + Self.bytes(UInt32(number)) + [flags]
    record += Self.bytes(step.loss.bitPattern)
    for slope in step.slopes { record += Self.bytes(slope.bitPattern) }
    try write(record)
  }

  func append(_ evaluation: SeedLog.Evaluation) throws(ZerothOrderError) {
    try write(
      [UInt8(ascii: "E")] + Self.bytes(UInt32(evaluation.step))
        + Self.bytes(evaluation.loss.bitPattern)
        + Self.bytes((evaluation.accuracy ?? .nan).bitPattern))
  }

  func appendEnd(step: Int, hash: String) throws(ZerothOrderError) {
    try write([UInt8(ascii: "Z")] + Self.bytes(UInt32(step)) + Array(hash.utf8))
  }

  private static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  private func write(_ bytes: [UInt8]) throws(ZerothOrderError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        buffer.baseAddress.map { Foundation.write(descriptor, $0 + done, bytes.count - done) } ?? 0
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw Self.failure(path)
      }
      done += count
    }
  }

  private static func failure(_ path: String) -> ZerothOrderError {
    .logFile(path: path, reason: String(cString: strerror(errno)))
  }
}
