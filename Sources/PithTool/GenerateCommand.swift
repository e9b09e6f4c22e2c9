import ArgumentParser
import Foundation
import Pith

struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Continue a prompt: a look at what a model says.",
    discussion: "Greedy unless --temperature is above 0; the same seed gives the same text.")

  @Option(help: "A model (folder or file) or an artefact.")
  var model: String

  @Option(help: "The text to continue.")
  var prompt: String

  @Option(help: "The most tokens to add.")
  var tokens = 64

  @Option(help: "0 takes the most likely token; 1 samples as the model says.")
  var temperature = 0.0

  @Option(help: "Sample only among the most likely tokens that together reach this probability.")
  var topP = 1.0

  @Option(help: "The seed of sampling.")
  var seed: UInt64 = 0

  @Flag(help: "Put the tokenizer's beginning token first.")
  var bos = false

  @Option(help: "A tokenizer.json in place of the model's own.")
  var tokenizer: String?

  @OptionGroup var rounding: RoundingOptions

  @OptionGroup var threads: WorkerOptions

  func validate() throws {
    guard tokens > 0 else { throw ValidationError("--tokens takes a number above 0.") }
  }

  func run() throws {
    let sampling = try Sampling(temperature: temperature, topP: topP, seed: seed)
    let opened = try rounding.apply(to: .open(model))
    let tokenizer = try opened.tokenizer(override: tokenizer)
    var ids = try tokenizer.encode(prompt)
    if bos || ids.isEmpty {
      guard let beginning = tokenizer.beginning else {
        throw EvaluationError.noBeginning(path: tokenizer.path)
      }
      ids.insert(beginning, at: 0)
    }
    let pool = WorkerPool(workers: threads.workerCount)
    let loaded = try opened.load(pool: pool)
    var decoder = StreamingDecoder(tokenizer)
    let clock = ContinuousClock()
    let start = clock.now
    var first: ContinuousClock.Instant?
    show(prompt)
    let result = try loaded.generate(
      [ids], maximumTokens: tokens, sampling: sampling,
      stops: Set([tokenizer.end].compactMap { $0 })
    ) { _, token in
      if first == nil { first = clock.now }
      show(decoder.append(token))
      return true
    }
    let end = clock.now
    show(decoder.finish() + "\n")
    let count = result.first?.count ?? 0
    let prefill = (first ?? end) - start
    let rest = (end - (first ?? end)).seconds
    let rate = count > 1 ? Double(count - 1) / max(rest, 1e-9) : 0
    StandardError.write(
      "prompt: \(ids.count) tokens in \(Format.duration(prefill.seconds)); "
        + "generated: \(count) tokens, \(Format.fixed(rate, 1)) tokens/s")
  }

  private func show(_ text: String) {
    FileHandle.standardOutput.write(Data(text.utf8))
  }
}
