import Architectures
import Artefacts
import Checkpoints
import Models
import Recipes
import Tensors
import Weights

/// How a run finds the stored scales of keys and values: the calibration text goes once more
/// through the model, as the finished tensors leave it.
public struct KeyValueCalibration: Sendable {
  public let text: CalibrationText
  /// What the pass takes.
  public let forecast: CalibrationForecast
  let format: KeyValueScales.Format
  private let model: OpenedModel

  /// nil for recipes without stored scales.
  ///
  /// - Throws: `ModelError.keyValueSchemeNotCausal`, what reading the text throws, and
  ///   `ArchitectureError` for a model that does not run.
  init?(
    _ recipe: Recipe, for source: any TensorSource, _ planned: [PlannedTensor],
    options: PlanOptions
  ) throws {
    guard let stored = recipe.keyValueCache?.stored else { return nil }
    format = KeyValueScales.Format(stored)
    model = try OpenedModel(source, mapped: false)
    guard model.description.attention.causal else {
      throw ModelError.keyValueSchemeNotCausal(modelType: model.description.modelType)
    }
    text = try CalibrationText.read(
      recipe.calibration, seed: recipe.seed, for: model, tokenizer: options.tokenizer)
    forecast = CalibrationForecast(
      model.description, try CalibrationSchedule(planned, model.description), text, .none,
      watchesDrift: false, workers: options.workers)
  }

  /// The scales of a model whose tensors are finished.
  func scales(
    _ plan: Plan, _ entries: [ArtefactEntry], folder: WorkFolder, interruption: Interruption
  ) throws -> KeyValueScales {
    let pool = WorkerPool(workers: plan.options.workers)
    let weights = try PropagatedWeights(plan.source)
    for entry in entries { weights.add(entry) }
    let batch = TokenBatch(
      try text.sequences(of: model, memoryLimit: plan.memoryLimit, pool: pool))
    let runner = try BlockwiseRunner(
      weights, batch: batch, memoryLimit: plan.holdsStates ? .max : 0,
      passRows: BlockwiseRunner.passRows(model.description), folder: folder.path, pool: pool)
    runner.willPass = {
      if interruption.isRequested { throw PipelineError.interrupted(folder: folder.path) }
    }
    let ranges = KeyValueRanges(for: model.description)
    for block in model.description.blocks {
      try runner.advance(through: PreparedBlock(block, from: weights), observer: ranges)
    }
    return try ranges.scales(format)
  }
}
