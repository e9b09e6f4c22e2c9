import Foundation
import Models
import Objectives
import Tensors
import TestSupport
import Testing

@testable import Text
@testable import ZerothOrder

/// Objectives against the plain ways of computing them.
@Suite struct ObjectiveTests {
  /// Soft targets give the divergence that both models' logits give.
  @Test func distillationIsTheDivergence() throws {
    let inputs = try Sample.inputs()
    let teacher = try LanguageModel(Sample.weights())
    let student = try LanguageModel(inputs.weights)
    let windows = try Sample.windows(3)
    let objective = try Distillation(
      windows: windows, source: "", teacher: teacher, student: student)
    let batch = TokenBatch(objective.sequences([0, 1, 2]))
    let hidden = try student.hiddenStates(of: batch)
    let found = try objective.loss(student, hidden: hidden, batch: batch, examples: [0, 1, 2])
    let reference = try student.comparisons(
      of: hidden, with: teacher, teacher.hiddenStates(of: batch),
      targets: Array(repeating: 0, count: batch.rows))
    let expected = reference.reduce(0.0) { $0 + ($1?.divergence ?? .nan) } / Double(batch.rows)
    #expect(abs(found.mean - expected) < 1e-5)
    #expect(expected > 0.05)
  }

  @Test func variantsAreTheModelItself() throws {
    let base = try Sample.quantized()
    let model = try LanguageModel(base, residency: .oneBlock, pool: WorkerPool(workers: 2))
    let batches = try [Sample.windows(2), Sample.windows(5)].map { TokenBatch($0) }
    let found = try model.hiddenStates(
      of: batches.map { ModelVariant(weights: base, batch: $0) })
    for (batch, hidden) in zip(batches, found) {
      #expect(try model.hiddenStates(of: batch).values == hidden.values)
    }
  }

  /// One-token options that share a prompt, and the same as sequences of their own.
  @Test func optionsByTheirLogits() throws {
    let model = try LanguageModel(Sample.weights())
    let prompt = Array(try Sample.windows(1)[0][..<12])
    let shared = ScoringItem(
      sequences: [prompt + [40], prompt + [50]], optionStarts: [12, 12], label: 1)
    let longer = ScoringItem(
      sequences: [prompt + [40, 60], prompt + [50]], optionStarts: [12, 12], label: 0)
    let objective = try OptionChoice(items: [shared, longer], source: "")
    #expect(objective.sequences([0]).count == 1)
    let batch = objective.batch([0, 1])
    let found = try objective.loss(
      model, hidden: model.hiddenStates(of: batch), batch: batch, examples: [0, 1])
    func score(_ tokens: [Int32]) throws -> Double {
      let losses = try model.negativeLogLikelihoods(of: [prompt + tokens])[0].suffix(tokens.count)
      return -losses.reduce(0, +) / Double(tokens.count)
    }
    let (a, b, c) = (try score([40]), try score([50]), try score([40, 60]))
    func entropy(_ right: Double, _ wrong: Double) -> Double { log(1 + exp(wrong - right)) }
    #expect(abs(found.sum - entropy(b, a) - entropy(c, b)) < 1e-4)
    #expect(found.cases == 2)
    #expect(found.hits == (b > a ? 1 : 0) + (c >= b ? 1 : 0))
  }

  /// What a teacher thinks of the options, by both models' logits; labels are not needed.
  @Test func optionsOfATeacher() throws {
    let teacher = try LanguageModel(Sample.weights())
    let student = try LanguageModel(Sample.quantized())
    let prompts = try Sample.windows(4).map { Array($0[..<12]) }
    let items = prompts.map {
      ScoringItem(sequences: [$0 + [40], $0 + [50]], optionStarts: [12, 12], label: nil)
    }
    let objective = try OptionChoice(items: items, source: "", teacher: teacher)
    let batch = objective.batch([0, 1, 2, 3])
    func probabilities(_ model: LanguageModel) throws -> [Double] {
      let logits = try model.logits(of: model.hiddenStates(of: batch), rows: batch.lastRows)
      return (0..<4).map { 1 / (1 + exp(Double(logits[$0, 50]) - Double(logits[$0, 40]))) }
    }
    let found = try objective.loss(
      student, hidden: student.hiddenStates(of: batch), batch: batch, examples: [0, 1, 2, 3])
    let expected = zip(try probabilities(teacher), try probabilities(student)).reduce(0.0) {
      let (t, p) = $1
      return $0 + t * log(t / p) + (1 - t) * log((1 - t) / (1 - p))
    }
    #expect(abs(found.sum - expected) < 1e-4)
    #expect(expected > 1e-3)
    #expect(found.cases == 0)
    let own = try objective.loss(
      teacher, hidden: teacher.hiddenStates(of: batch), batch: batch, examples: [0, 1, 2, 3])
    #expect(abs(own.sum) < 1e-6)
  }

  /// Longer options go on from one pass over their prompt: fewer rows, the same loss, and nothing
  /// of the rows that do not count.
  @Test func optionsShareTheirPrompt() throws {
    let base = try Sample.quantized()
    let model = try LanguageModel(base)
    let prompts = try Sample.windows(2).map { Array($0[..<20]) }
    let items = prompts.enumerated().map { index, prompt in
      ScoringItem(
        sequences: [prompt + [40, 60], prompt + [50], prompt + [50, 70, 80]],
        optionStarts: [20, 20, 20], label: index)
    }
    let shared = try OptionChoice(items: items, source: "")
    let whole = try OptionChoice(items: items, source: "", sharesPrompts: false)
    #expect(shared.batch([0, 1]).rows == 2 * (19 + 2 + 1 + 3))
    #expect(whole.batch([0, 1]).rows == 2 * (21 + 20 + 22))
    func loss(_ objective: OptionChoice, onlyNeeded: Bool) throws -> Double {
      let batch = objective.batch([0, 1])
      let rows = onlyNeeded ? objective.rows([0, 1], of: batch) : nil
      let hidden = try model.hiddenStates(
        of: [ModelVariant(weights: base, batch: batch, rows: rows)])
      return try objective.loss(model, hidden: hidden[0], batch: batch, examples: [0, 1]).mean
    }
    let expected = try loss(whole, onlyNeeded: false)
    for onlyNeeded in [false, true] {
      #expect(abs(try loss(shared, onlyNeeded: onlyNeeded) - expected) < 1e-4)
    }
    // The rows that are asked for are the only ones that are right.
    let batch = shared.batch([0])
    let rows = try #require(shared.rows([0], of: batch))
    let hidden = try model.hiddenStates(
      of: [
        ModelVariant(weights: base, batch: batch),
        ModelVariant(weights: base, batch: batch, rows: rows),
      ])
    for row in 0..<batch.rows {
      let range = hidden[0].range(ofRow: row)
      let isSame = zip(hidden[0].values[range], hidden[1].values[range])
        .allSatisfy { abs($0 - $1) < 1e-3 }
      #expect(isSame == rows.contains(row))
    }
  }

  @Test func answersAreJudged() {
    #expect(AnswerMetrics.f1("The cat sat.", "a cat sat") == 1)
    #expect(AnswerMetrics.f1("dog", "cat") == 0)
    #expect(abs(AnswerMetrics.f1("black cat", "cat") - 2 / 3) < 1e-12)
    #expect(AnswerMetrics.f1("cat cat", "cat") < 1)
    #expect(AnswerMetrics.f1("", "the") == 1)
    #expect(AnswerMetrics.isExact(" The Cat! ", "cat"))
  }

  @Test func writtenAnswersCount() throws {
    let opened = try OpenedModel.open(Sample.folder)
    let tokenizer = try opened.tokenizer()
    let model = try LanguageModel(opened.weights)
    let prompt = Array(try Sample.windows(1)[0][..<8])
    let own = tokenizer.decode(try model.generate([prompt], maximumTokens: 4)[0])
    let objective = try GeneratedAnswers(
      prompts: [prompt, prompt], answers: [[own], ["surely nothing like it"]], metric: .f1,
      maximumTokens: 4, tokenizer: tokenizer, source: "")
    let loss = try objective.loss(model, examples: [0, 1])
    #expect(loss.hits == 1)
    #expect(loss.mean > 0.4 && loss.mean <= 0.5)
  }

  @Test func mixturesAddUp() throws {
    let model = try LanguageModel(Sample.weights())
    let windows = try Sample.windows(6)
    let first = try LanguageModeling(windows: Array(windows[..<4]), source: "")
    let second = try LanguageModeling(windows: Array(windows[4...]), source: "")
    let mixture = try Mixture([(first, 1), (second, 0.5)])
    func loss(_ objective: any Objective, _ examples: [Int]) throws -> Double {
      let batch = TokenBatch(objective.sequences(examples))
      return try objective.loss(
        model, hidden: model.hiddenStates(of: batch), batch: batch, examples: examples
      ).mean
    }
    let found = try loss(mixture, [1, 5, 2, 4])
    let expected = try loss(first, [1, 2]) + 0.5 * loss(second, [1, 0])
    #expect(abs(found - expected) < 1e-4)
    let drawn = mixture.draw([0, 0, .max, .max])
    #expect(drawn == [0, 4, 3, 5])
    #expect(throws: ObjectivesError.self) { _ = try Mixture([(first, -1)]) }
  }

  @Test func missingLabelsAreNamed() {
    let item = ScoringItem(sequences: [[1, 2], [1, 3]], optionStarts: [1, 1], label: nil)
    #expect(throws: ObjectivesError.noLabel(source: "a.jsonl", record: 1)) {
      _ = try OptionChoice(items: [item], source: "a.jsonl")
    }
    #expect(throws: ObjectivesError.noExamples(source: "a.jsonl")) {
      _ = try OptionChoice(items: [], source: "a.jsonl")
    }
  }
}

extension TokenBatch {
  /// The last row of each sequence.
  fileprivate var lastRows: [Int] { (0..<sequences).map { rows(of: $0).upperBound - 1 } }
}
