import Artefacts
import Foundation
import JSONText
import RunRecords

/// What must be the same for an unfinished run to be resumed.
struct RunIdentity: Sendable, Hashable {
  /// Name and value, in the order in which differences are looked for.
  var facts: [Fact]

  struct Fact: Sendable, Hashable {
    var what: String
    var value: String
  }

  /// The first fact that differs.
  func difference(from other: RunIdentity) -> (what: String, mine: String, theirs: String)? {
    for fact in facts {
      let theirs = other.facts.first { $0.what == fact.what }?.value ?? "absent"
      if theirs != fact.value { return (fact.what, fact.value, theirs) }
    }
    return nil
  }
}

/// A finished tensor, as the journal remembers it.
struct FinishedTensor: Sendable, Hashable {
  var entry: ArtefactEntry
  var record: TensorRecord
  /// SHA-256 of the source tensor's values; nil when hashing is off.
  var sourceHash: String?
  /// The size that the part file must have.
  var partBytes: Int
}

/// The append-only list of finished tensors: one line of JSON each, after a first line with the
/// run's identity.
///
/// A line counts when it is complete; a kill while writing leaves at most a torn last line, which
/// reading passes over. Lines are written in groups, each after the parts that it names are on the
/// disk, so that the price of durability is a few flushes a second and not two a tensor.
final class Journal: @unchecked Sendable {
  private let lock = NSLock()
  private let path: String
  private let descriptor: Int32
  private let durable: Bool
  private var pending: [(line: String, part: PartFile?)] = []
  private var lastFlush = ContinuousClock.now
  private let interval: Duration = .milliseconds(500)
  /// The most tensors of one group: each keeps its part file open until it is flushed, and a model
  /// may have thousands of small ones.
  private static let groupLimit = 64

  private init(path: String, descriptor: Int32, durable: Bool) {
    self.path = path
    self.descriptor = descriptor
    self.durable = durable
  }

  deinit {
    // Closing is not enough: a child forked meanwhile (HDF5's reader) holds a copy, and with it the
    // lock.
    _ = flock(descriptor, LOCK_UN)
    close(descriptor)
  }

  /// A new journal; it holds the lock on the work folder as long as it is open.
  static func create(
    path: String, identity: RunIdentity, durable: Bool
  ) throws(PipelineError) -> Journal {
    let journal = try open(path: path, flags: O_RDWR | O_CREAT | O_TRUNC | O_APPEND, durable)
    try journal.append(JournalLine.header(identity))
    return journal
  }

  /// An existing journal, opened for more; what it holds is returned.
  static func resume(
    path: String, identity: RunIdentity, durable: Bool
  ) throws(PipelineError) -> (Journal, [FinishedTensor]) {
    let journal = try open(path: path, flags: O_RDWR | O_APPEND, durable)
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .file(path: path, reason: "cannot be read")
    }
    var lines = data.split(separator: 0x0A, omittingEmptySubsequences: true).map { Array($0) }
    let torn = data.last != 0x0A
    if torn, !lines.isEmpty { lines.removeLast() }
    let folder = (path as NSString).deletingLastPathComponent
    guard let first = lines.first, let then = JournalLine.identity(first) else {
      throw .damagedJournal(path: path, reason: "its first line is missing")
    }
    if let (what, now, before) = identity.difference(from: then) {
      throw .changedSinceJournal(folder: folder, what: what, then: before, now: now)
    }
    var finished: [FinishedTensor] = []
    for (number, line) in lines.enumerated().dropFirst() {
      guard let tensor = JournalLine.finished(line, folder: folder) else {
        throw .damagedJournal(path: path, reason: "line \(number + 1) cannot be read")
      }
      finished.append(tensor)
    }
    if torn {
      // The torn line must not become the beginning of the next one.
      let length = lines.reduce(0) { $0 + $1.count + 1 }
      guard ftruncate(journal.descriptor, off_t(length)) == 0 else {
        throw PartFile.failure(path)
      }
    }
    return (journal, finished)
  }

  private static func open(
    path: String, flags: Int32, _ durable: Bool
  ) throws(PipelineError) -> Journal {
    // Truncation comes after the lock: a running process's journal must survive the attempt.
    let descriptor = Foundation.open(path, (flags & ~O_TRUNC) | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw PartFile.failure(path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw .workFolderBusy((path as NSString).deletingLastPathComponent)
    }
    if flags & O_TRUNC != 0 { _ = ftruncate(descriptor, 0) }
    return Journal(path: path, descriptor: descriptor, durable: durable)
  }

  /// Notes a finished tensor; it reaches the disk with the next group.
  func add(_ tensor: FinishedTensor, part: PartFile?) throws {
    lock.lock()
    defer { lock.unlock() }
    pending.append((JournalLine.line(tensor), durable ? part : nil))
    if ContinuousClock.now - lastFlush >= interval || pending.count >= Self.groupLimit {
      try flushLocked()
    }
  }

  /// Writes everything that is pending.
  func flush() throws {
    lock.lock()
    defer { lock.unlock() }
    try flushLocked()
  }

  private func flushLocked() throws(PipelineError) {
    if durable {
      for (_, part) in pending { try part?.synchronize() }
    }
    if !pending.isEmpty { try append(pending.map(\.line).joined()) }
    pending.removeAll()
    lastFlush = ContinuousClock.now
  }

  private func append(_ text: String) throws(PipelineError) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw PartFile.failure(path)
      }
      bytes = bytes.dropFirst(count)
    }
    if durable, fsync(descriptor) != 0 {
      throw PartFile.failure(path)
    }
  }
}
