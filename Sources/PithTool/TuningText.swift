import Foundation
import JSONText
import Pith
import Synchronization

/// Shows a run of tuning: evaluations as lines, and on a terminal a line that says how far it is.
final class TuningPrinter: Sendable {
  private let quiet: Bool
  private let isTerminal: Bool
  private let last = Mutex<(drawn: ContinuousClock.Instant, loss: Double)?>(nil)

  init(quiet: Bool) {
    self.quiet = quiet
    isTerminal = isatty(quiet ? STDERR_FILENO : STDOUT_FILENO) == 1
  }

  func report(_ progress: Tuning.Progress) {
    if let evaluation = progress.evaluation {
      var text =
        "step \(progress.step) of \(progress.total)  held-out loss "
        + Format.fixed(evaluation.loss, 4)
      if let accuracy = evaluation.accuracy { text += "  accuracy " + Format.fixed(accuracy, 4) }
      text += speed(progress)
      write((isTerminal ? "\r\u{1B}[K" : "") + text + "\n")
      return
    }
    let now = ContinuousClock.now
    let loss = last.withLock { last -> Double? in
      // A running mean: one step's loss says little.
      let old = last?.loss ?? Double(progress.loss)
      let mean = progress.loss.isFinite ? 0.95 * old + 0.05 * Double(progress.loss) : old
      let isDue = last.map { now - $0.drawn > .milliseconds(200) } ?? true
      last = (isDue ? now : last?.drawn ?? now, mean)
      return isDue ? mean : nil
    }
    guard isTerminal, let loss else { return }
    write(
      "\r\u{1B}[Kstep \(progress.step) of \(progress.total)  loss \(Format.fixed(loss, 4))"
        + speed(progress))
  }

  private func speed(_ progress: Tuning.Progress) -> String {
    guard progress.stepsPerSecond > 0 else { return "" }
    let left = Double(progress.total - progress.step) / progress.stepsPerSecond
    return "  \(Format.significant(progress.stepsPerSecond, 3)) steps/s"
      + (left > 0 ? ", about \(Format.duration(left)) left" : "")
  }

  func finish() { if isTerminal { write("\r\u{1B}[K") } }

  private func write(_ text: String) {
    let handle = quiet ? FileHandle.standardError : FileHandle.standardOutput
    handle.write(Data(text.utf8))
  }
}

/// What runs of tuning and their logs look like.
enum TuningText {
  static func summary(_ outcome: TuningRun.Outcome) -> String {
    let result = outcome.result
    let best = result.evaluations.first { $0.step == result.step }
    var text = header(result.header) + "\n"
    if let first = result.evaluations.first, let best {
      text += "held out: loss \(Format.fixed(first.loss, 4)) -> \(Format.fixed(best.loss, 4))"
      if let before = first.accuracy, let after = best.accuracy {
        text += ", accuracy \(Format.fixed(before, 4)) -> \(Format.fixed(after, 4))"
      }
      text += ", kept from step \(best.step)\n"
    }
    text += counts(result.steps)
    text += "log: \(outcome.log), \(Format.bytes(outcome.logBytes))\n"
    text += "written: \(outcome.output), \(Format.duration(outcome.seconds)), "
    text += "\(Format.significant(result.stepsPerSecond, 3)) steps/s, at most "
    return text + "\(Format.bytes(outcome.peakResidentBytes)) of memory\n"
  }

  private static func header(_ header: SeedLogHeader) -> String {
    let (options, constants) = (header.options, header.constants)
    let count = header.parameters.reduce(0) { $0 + $1.count }
    let kinds = options.parameters.map(\.rawValue).sorted().joined(separator: ", ")
    return """
      tuned: \(Format.count(count)) \(kinds), \(options.form.rawValue) form, objective \
      \(header.objective)
      steps: \(options.rule.rawValue), batch \(options.batch), \(options.directions) \
      \(options.distribution.rawValue) directions, epsilon \
      \(Format.significant(Double(constants.epsilon), 3)), learning rate \
      \(Format.significant(Double(constants.learningRate), 3)), clip \
      \(constants.clip.isFinite ? Format.significant(Double(constants.clip), 3) : "none")
      """
  }

  private static func counts(_ steps: [SeedLog.Step]) -> String {
    let slopes = steps.flatMap(\.slopes).map { Double(abs($0)) }.sorted()
    let median = slopes.isEmpty ? 0 : slopes[slopes.count / 2]
    return "slopes: median \(Format.significant(median, 3)), "
      + "\(steps.count(where: \.isClipped)) steps clipped, "
      + "\(steps.count(where: \.isSkipped)) skipped\n"
  }

  /// A log with the curve of its loss.
  static func log(_ log: SeedLog, width: Int) -> String {
    var text = "base: \(log.header.baseHash)\ndata: \(log.header.data)\n"
    text += header(log.header) + "\n" + counts(log.steps)
    text += "done: \(log.steps.count) of \(log.header.options.steps) steps"
    text +=
      log.end.map { ", kept step \($0.step), state \($0.hash.prefix(16))\n" } ?? ", unfinished\n"
    text += curve(log.steps.map { Double($0.loss) }, title: "loss of steps", width: width)
    text += curve(log.evaluations.map(\.loss), title: "held-out loss", width: width)
    let accuracies = log.evaluations.compactMap(\.accuracy)
    if !accuracies.isEmpty { text += curve(accuracies, title: "held-out accuracy", width: width) }
    return text
  }

  /// Means of equal parts as a curve of `height` lines.
  private static func curve(_ values: [Double], title: String, width: Int) -> String {
    let finite = values.filter(\.isFinite)
    guard finite.count > 1 else { return "" }
    let columns = min(finite.count, max(16, width - 12))
    let means = (0..<columns).map { column -> Double in
      let part = finite[column * finite.count / columns..<(column + 1) * finite.count / columns]
      return part.reduce(0, +) / Double(max(part.count, 1))
    }
    let (low, high) = (means.min() ?? 0, means.max() ?? 1)
    let height = 8
    let marks = Array(" ▁▂▃▄▅▆▇█")
    var text = title + "\n"
    for line in (0..<height).reversed() {
      let label = line == height - 1 ? high : line == 0 ? low : nil
      let edge = label.map { Format.fixed($0, 4) } ?? ""
      text += String(repeating: " ", count: max(0, 9 - edge.count)) + edge + " "
      for mean in means {
        let share = high > low ? (mean - low) / (high - low) * Double(height * 8 - 1) + 1 : 1
        text.append(marks[min(8, max(0, Int(share) - line * 8))])
      }
      text += "\n"
    }
    return text
  }

  static func json(_ outcome: TuningRun.Outcome) -> JSONValue {
    var object = JSONObject()
    object["output"] = .init(outcome.output)
    object["log"] = .init(outcome.log)
    object["log_bytes"] = .init(outcome.logBytes)
    object["kept_step"] = .init(outcome.result.step)
    object["state_sha256"] = .init(outcome.result.hash)
    object["evaluations"] = evaluations(outcome.result.evaluations)
    object["steps_per_second"] = .init(outcome.result.stepsPerSecond)
    object["seconds"] = .init(outcome.seconds)
    object["peak_resident_bytes"] = .init(outcome.peakResidentBytes)
    object["warnings"] = .array(outcome.warnings.map { .string($0) })
    return .object(object)
  }

  static func json(_ log: SeedLog) -> JSONValue {
    var object = JSONObject()
    object["base_sha256"] = .init(log.header.baseHash)
    object["objective"] = .init(log.header.objective)
    object["data"] = .init(log.header.data)
    object["options"] = log.header.options.json
    object["epsilon"] = .init(log.header.constants.epsilon)
    object["learning_rate"] = .init(log.header.constants.learningRate)
    object["evaluations"] = evaluations(log.evaluations)
    object["losses"] = .array(log.steps.map { .init($0.loss) })
    object["slopes"] = .array(log.steps.map { .array($0.slopes.map { .init($0) }) })
    object["kept_step"] = log.end.map { .init($0.step) } ?? .null
    return .object(object)
  }

  private static func evaluations(_ list: [SeedLog.Evaluation]) -> JSONValue {
    .array(
      list.map {
        [
          "step": .init($0.step), "loss": .init($0.loss),
          "accuracy": $0.accuracy.map { .init($0) } ?? .null,
        ]
      })
  }
}
