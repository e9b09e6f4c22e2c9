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
    let batch = TokenBatch(objective.sequences([0, 1]))
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
