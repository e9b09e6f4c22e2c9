import Foundation
import RunRecords

/// What a run tells while it goes on.
public enum RunEvent: Sendable {
  /// Some tensors were finished before and are taken over.
  case resumed(tensors: Int, of: Int)
  /// A tensor is finished; these come in order of the index.
  case tensor(TensorRecord, of: Int)
  /// How far the run is, in bytes of source.
  case progress(done: Int, total: Int, current: String)
  /// The parts are being put together.
  case assembling(bytes: Int)
}

/// Counts bytes as they are read, and passes records on in order of their index, whatever order they
/// come in.
final class OrderedEvents: @unchecked Sendable {
  private let lock = NSLock()
  private let total: Int
  private let totalBytes: Int
  private var doneBytes = 0
  private var next = 0
  private var waiting: [Int: TensorRecord] = [:]
  private let report: @Sendable (RunEvent) -> Void

  init(total: Int, totalBytes: Int, report: @escaping @Sendable (RunEvent) -> Void) {
    self.total = total
    self.totalBytes = totalBytes
    self.report = report
  }

  /// Some bytes of a tensor are done; a large one tells this many times.
  func advanced(by bytes: Int, of name: String) {
    lock.lock()
    defer { lock.unlock() }
    doneBytes += bytes
    report(.progress(done: doneBytes, total: totalBytes, current: name))
  }

  /// A tensor is finished.
  func finished(_ record: TensorRecord) {
    lock.lock()
    defer { lock.unlock() }
    waiting[record.index] = record
    while let record = waiting.removeValue(forKey: next) {
      report(.tensor(record, of: total))
      next += 1
    }
  }
}
