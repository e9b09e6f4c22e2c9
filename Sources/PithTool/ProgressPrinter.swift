import Foundation
import Pith
import Synchronization

/// Shows a run's events: on a terminal one line a tensor and a progress line below that is drawn
/// anew; in a log plain lines only.
final class ProgressPrinter: Sendable {
  private let toStandardError: Bool
  private let isTerminal: Bool
  private let width: Int
  private let showsTensors: Bool
  private let progress = ProgressLine()
  private let lastDrawn = Mutex<ContinuousClock.Instant?>(nil)

  /// - Parameter quiet: tensors' lines go to standard error, as standard output carries JSON.
  init(quiet: Bool, showsTensors: Bool = true) {
    toStandardError = quiet
    self.showsTensors = showsTensors
    isTerminal = isatty(quiet ? STDERR_FILENO : STDOUT_FILENO) == 1
    width = Terminal.width
  }

  func report(_ event: RunEvent) {
    switch event {
    case .resumed(let tensors, let total):
      line("resuming: \(tensors) of \(total) tensors were finished before")
    case .tensor(let record, let total):
      if showsTensors { line(TerminalReport.line(record, of: total)) }
    case .progress(let done, let total, let current):
      draw(done, total, current)
    case .assembling(let bytes):
      line("assembling \(Format.bytes(bytes))")
    }
  }

  /// Clears the progress line.
  func finish() {
    if isTerminal { write("\r\u{1B}[K") }
  }

  private func line(_ text: String) {
    write((isTerminal ? "\r\u{1B}[K" : "") + text + "\n")
  }

  private func draw(_ done: Int, _ total: Int, _ current: String) {
    guard isTerminal else { return }
    let now = ContinuousClock.now
    let isDue = lastDrawn.withLock { last in
      if let last, now - last < .milliseconds(100), done < total { return false }
      last = now
      return true
    }
    guard isDue else { return }
    write(
      "\r\u{1B}[K"
        + progress.text(done: done, total: total, current: current, now: now, width: width - 1))
  }

  private func write(_ text: String) {
    let handle = toStandardError ? FileHandle.standardError : FileHandle.standardOutput
    handle.write(Data(text.utf8))
  }
}

/// What is known of the terminal.
enum Terminal {
  /// Columns of the terminal; 80 where there is none.
  static var width: Int {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return 80 }
    return Int(size.ws_col)
  }
}
