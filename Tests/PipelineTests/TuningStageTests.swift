import Recipes
import TestSupport
import Testing
import Weights
import ZerothOrder

@testable import Pipeline

/// The stage `finetune` says to the trainer what the command says.
@Suite struct TuningStageTests {
  private func stage(_ options: String) throws -> TuningRequest {
    let data = SharedFiles.fixture("text/heldout_publicdomain.txt")
    let recipe = try RecipeParser.parse(
      text: """
        version: 1
        name: tuned
        seed: 7
        stages:
          - finetune: {method: qzo, objective: options-kl, data: \(data), \(options)}
        """, file: "tuned.yaml")
    let stage = try TuningStage(
      recipe, model: "model", output: "out.h5", force: true, resume: false, workers: 1,
      memoryLimit: nil)
    return try #require(stage).request
  }

  @Test func everyOptionArrives() throws {
    let arithmetic: ProductArithmetic = TuningOptions().arithmetic == .f32 ? .int16 : .f32
    let request = try stage(
      """
      template: "{text} It was{ bad| good}", steps: 30, batch: 8, directions: 4, shared: true, \
      estimator: one_sided, distribution: low_rank, rank: 3, refresh: 9, relative_step: 0.25, \
      learning_rate: 0.5, epsilon: 0.125, clip: 2, schedule: cosine, rule: momentum, beta1: 0.75, \
      beta2: 0.875, weight_decay: 0.0625, averaging: 0.5, blockwise: true, first_block: 1, \
      sparsity: 0.3, evaluate_every: 10, probes: 5, parameters: [scales, norms, zeros], \
      form: absolute, held_out_count: 11, records: 12, label: l, answer: a, choices: c, field: f, \
      max_text_tokens: 13, bos: true, mix: lm=0.5, arithmetic: \(arithmetic.rawValue)
      """)
    var expected = TuningOptions()
    expected.steps = 30
    expected.batch = 8
    expected.seed = 7
    expected.directions = 4
    expected.shared = true
    expected.estimator = .oneSided
    expected.distribution = .lowRank
    expected.rank = 3
    expected.refresh = 9
    expected.relativeStep = 0.25
    expected.learningRate = 0.5
    expected.epsilon = 0.125
    expected.clip = .value(2)
    expected.schedule = .cosine
    expected.rule = .momentum
    expected.beta1 = 0.75
    expected.beta2 = 0.875
    expected.weightDecay = 0.0625
    expected.averaging = 0.5
    expected.blockwise = true
    expected.firstBlock = 1
    expected.sparsity = 0.3
    expected.evaluateEvery = 10
    expected.probes = 5
    expected.arithmetic = arithmetic
    expected.parameters = [.scales, .norms, .zeros]
    expected.form = .absolute
    #expect(request.options == expected)
    #expect(request.goal == .optionsKL)
    #expect(request.mixed.map(\.goal) == [.lm] && request.mixed.map(\.weight) == [0.5])
    #expect(request.teacher == "model")
    #expect(request.heldOutCount == 11 && request.records == 12)
    #expect([request.labelField, request.answerField, request.field] == ["l", "a", "f"])
    #expect(request.choicesField == "c")
    #expect(request.maximumTextTokens == 13 && request.withBeginning)
  }

  /// Every word that the recipe knows is one that the trainer knows.
  @Test func wordsAgree() throws {
    func all<Word: CaseIterable & RawRepresentable<String>>(_: Word.Type) -> [String] {
      Word.allCases.map(\.rawValue).sorted()
    }
    #expect(all(FinetuneOptions.Method.self) == TuningOptions.names.sorted())
    #expect(all(FinetuneOptions.Objective.self) == all(TuningRequest.Goal.self))
    #expect(all(FinetuneOptions.Parameter.self) == all(ParameterKind.self))
    #expect(all(FinetuneOptions.Form.self) == all(ParameterForm.self))
    #expect(all(FinetuneOptions.Estimator.self) == all(TuningOptions.Estimator.self))
    #expect(all(FinetuneOptions.Distribution.self) == all(Directions.Kind.self))
    #expect(all(FinetuneOptions.Schedule.self) == all(TuningOptions.Schedule.self))
    #expect(all(FinetuneOptions.Rule.self) == all(TuningOptions.Rule.self))
    #expect(all(FinetuneOptions.Arithmetic.self) == all(ProductArithmetic.self))
    #expect(try stage("clip: 0").options.clip == TuningOptions.Clip.none)
    #expect(throws: PipelineError.self) { _ = try stage("mix: much") }
  }
}
