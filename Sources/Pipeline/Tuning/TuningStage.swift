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
    request.length = options.length
    request.windows = options.windows
    request.maximumTextTokens = options.maximumTextTokens
    request.withBeginning = options.withBeginning
    if options.objective == .kl { request.teacher = model }
    if options.template != nil { request.heldOutCount = 500 }
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

  private static func options(_ stage: FinetuneOptions, seed: UInt64) -> TuningOptions {
    var options = TuningOptions.named(stage.method.rawValue) ?? TuningOptions()
    options.steps = stage.steps
    options.batch = stage.batch
    options.directions = stage.directions
    options.shared = stage.shared
    options.seed = seed
    options.relativeStep = stage.relativeStep ?? options.relativeStep
    options.learningRate = stage.learningRate ?? options.learningRate
    options.epsilon = stage.epsilon ?? options.epsilon
    options.averaging = stage.averaging ?? options.averaging
    options.evaluateEvery = max(1, stage.steps / 20)
    return options
  }
}
