import Checkpoints
import Foundation
import Recipes
import ZerothOrder

/// The last stage of a recipe, where it is `finetune`: tuning the artefact that the others made.
///
/// The artefact before tuning stays beside the output, as the log is relative to it.
public struct TuningStage: Sendable {
  /// Where the other stages' artefact goes.
  public let base: String
  public let request: TuningRequest

  /// nil when the recipe has no such stage.
  ///
  /// - Parameters:
  ///   - model: the original, whose word `kl` distils.
  ///   - resume: whether a tuned output that was begun is gone on with.
  /// - Throws: `PipelineError.tuning` for files that are not there, `ZerothOrderError.badOption`.
  public init?(
    _ recipe: Recipe, model: String, output: String, force: Bool, resume: Bool, workers: Int,
    memoryLimit: Int?
  ) throws {
    guard case .finetune(let options)? = recipe.stages.last else { return nil }
    for path in [options.data, options.heldOut].compactMap({ $0 })
    where FileIO.kind(of: path) != .file {
      throw PipelineError.tuning(
        reason:
          "the stage 'finetune' of recipe '\(recipe.name)' reads '\(path)', which is no file; "
          + "paths are relative to where the command runs")
    }
    if FileManager.default.fileExists(atPath: output), !force, !resume {
      throw PipelineError.outputExists(output)
    }
    base = Self.basePath(of: output)
    var request = TuningRequest(base: base, data: options.data, output: output)
    request.heldOut = options.heldOut
    request.goal = TuningRequest.Goal(rawValue: options.objective.rawValue)
    request.template = options.template
    if let mix = options.mix {
      guard let part = TuningRequest.mixed(mix) else {
        throw PipelineError.tuning(
          reason: "the stage 'finetune' of recipe '\(recipe.name)' mixes '\(mix)'; expected such "
            + "as 'lm=0.1'")
      }
      request.mixed = [part]
    }
    Self.fill(&request, options)
    let goals = [request.goal] + request.mixed.map(\.goal)
    if goals.contains(.kl) || goals.contains(.optionsKL) { request.teacher = model }
    request.options = Self.options(options, seed: recipe.seed)
    request.force = force
    request.resume = resume
    request.workers = workers
    request.memoryLimit = memoryLimit
    try request.options.validate()
    self.request = request
  }

  /// Whether the other stages are done: a resumed run has only the tuning left.
  public var hasBase: Bool {
    FileManager.default.fileExists(atPath: base) && !WorkFolder(output: base).exists
  }

  /// "tuned.h5" → "tuned.base.h5".
  static func basePath(of output: String) -> String {
    let url = URL(fileURLWithPath: output)
    let ending = url.pathExtension.isEmpty ? "h5" : url.pathExtension
    return FileIO.path(
      FileIO.folder(of: output),
      url.deletingPathExtension().lastPathComponent + ".base." + ending)
  }

  /// What is learnt from.
  private static func fill(_ request: inout TuningRequest, _ stage: FinetuneOptions) {
    request.length = stage.length
    request.windows = stage.windows
    request.records = stage.records
    request.maximumTextTokens = stage.maximumTextTokens
    request.withBeginning = stage.withBeginning
    request.labelField = stage.label
    request.choicesField = stage.choices
    request.answerField = stage.answer
    request.field = stage.field
    request.heldOutCount = stage.heldOutCount ?? (stage.template == nil ? 64 : 500)
  }

  /// The method's settings, and what the stage changes of them.
  private static func options(_ stage: FinetuneOptions, seed: UInt64) -> TuningOptions {
    var options = TuningOptions.named(stage.method.rawValue) ?? TuningOptions()
    /// Words of both enumerations are the same; a test walks through all of them.
    func word<Word: RawRepresentable<String>>(_ text: String?, _ old: Word) -> Word {
      text.flatMap(Word.init) ?? old
    }
    options.steps = stage.steps
    options.batch = stage.batch
    options.directions = stage.directions
    options.shared = stage.shared
    options.seed = seed
    if let kinds = stage.parameters {
      options.parameters = Set(kinds.compactMap { ParameterKind(rawValue: $0.rawValue) })
    }
    options.firstBlock = stage.firstBlock ?? options.firstBlock
    options.form = word(stage.form?.rawValue, options.form)
    options.estimator = word(stage.estimator?.rawValue, options.estimator)
    options.distribution = word(stage.distribution?.rawValue, options.distribution)
    options.schedule = word(stage.schedule?.rawValue, options.schedule)
    options.rule = word(stage.rule?.rawValue, options.rule)
    options.rank = stage.rank ?? options.rank
    options.refresh = stage.refresh ?? options.refresh
    options.relativeStep = stage.relativeStep ?? options.relativeStep
    options.learningRate = stage.learningRate ?? options.learningRate
    options.epsilon = stage.epsilon ?? options.epsilon
    if let bound = stage.clip { options.clip = bound > 0 ? .value(bound) : .none }
    options.beta1 = stage.beta1 ?? options.beta1
    options.beta2 = stage.beta2 ?? options.beta2
    options.weightDecay = stage.weightDecay ?? options.weightDecay
    options.averaging = stage.averaging ?? options.averaging
    options.blockwise = stage.blockwise
    options.sparsity = stage.sparsity ?? options.sparsity
    options.evaluateEvery = stage.evaluateEvery ?? max(1, stage.steps / 20)
    options.probes = stage.probes ?? options.probes
    options.arithmetic = word(stage.arithmetic?.rawValue, options.arithmetic)
    return options
  }
}
