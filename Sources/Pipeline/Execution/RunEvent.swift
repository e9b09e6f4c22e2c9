import Foundation
import RunRecords

/// What a run tells while it goes on.
public enum RunEvent: Sendable {
  /// Some tensors were finished before and are taken over.
  case resumed(tensors: Int, of: Int)
  /// A tensor is finished; these come in order of the index.
  case tensor(TensorRecord, of: Int)
  /// How far the run is: in bytes of source, or in microseconds of the work that was forecast where
  /// statistics are gathered on the way.
  case progress(done: Int, total: Int, current: String)
  /// The parts are being put together.
  case assembling(bytes: Int)
}

/// Counts work as it is done, and passes records on in a fixed order, whatever order they come in.
final class OrderedEvents: @unchecked Sendable {
  private let lock = NSLock()
  private let total: Int
  private let totalWork: Int
  /// The place of each number in the order of reports; nil is its own.
  private let places: [Int: Int]?
  /// Units of work a byte of a tensor stands for; nil is one.
  private let rates: [String: Double]?
  private var doneWork = 0.0
  private var next = 0
  private var waiting: [Int: TensorRecord] = [:]
  private let report: @Sendable (RunEvent) -> Void

  /// Records in order of their numbers, work in bytes of source.
  init(total: Int, totalBytes: Int, report: @escaping @Sendable (RunEvent) -> Void) {
    self.total = total
    totalWork = totalBytes
    places = nil
    rates = nil
    self.report = report
  }

  /// Records in the order in which a plan's jobs run.
  init(_ plan: Plan, report: @escaping @Sendable (RunEvent) -> Void) {
    total = plan.tensors.count
    self.report = report
    guard let calibration = plan.calibrationPlan else {
      totalWork = plan.forecast.sourceBytes
      places = nil
      rates = nil
      return
    }
    let order = calibration.schedule.order
    places = Dictionary(uniqueKeysWithValues: zip(order, order.indices))
    rates = Dictionary(
      plan.tensors.map { planned in
        (planned.tensor.name, planned.seconds * 1e6 / Double(max(planned.tensor.byteCount, 1)))
      }
    ) { first, _ in first }
    let seconds = plan.tensors.reduce(calibration.forecast.seconds) { $0 + $1.seconds }
    totalWork = Int(seconds * 1e6)
  }

  /// Some bytes of a tensor are done; a large one tells this many times.
  func advanced(by bytes: Int, of name: String) {
    worked(Double(bytes) * (rates?[name] ?? 1), on: name)
  }

  /// Some work is done that is no tensor's.
  func worked(_ units: Double, on name: String) {
    lock.lock()
    defer { lock.unlock() }
    doneWork += units
    report(.progress(done: min(totalWork, Int(doneWork)), total: totalWork, current: name))
  }

  /// A tensor is finished.
  func finished(_ record: TensorRecord) {
    lock.lock()
    defer { lock.unlock() }
    waiting[places?[record.index] ?? record.index] = record
    while let record = waiting.removeValue(forKey: next) {
      report(.tensor(record, of: total))
      next += 1
    }
  }
}
