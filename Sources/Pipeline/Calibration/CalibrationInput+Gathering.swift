import Checkpoints
import Evaluation
import Models
import Recipes
import Tensors

extension CalibrationInput {
  /// Statistics of the dense model, gathered from the recipe's calibration text: for stages that
  /// have to know every input before the first weight is touched.
  ///
  /// All calibrated stages of such a run use them: what comes out of earlier layers is not looked
  /// at again.
  ///
  /// - Throws: `PipelineError.statisticsNeeded` for models that cannot be run, and what reading the
  ///   text throws.
  static func gathered(
    for recipe: Recipe, _ source: any TensorSource, options: PlanOptions
  ) throws -> CalibrationInput {
    let model: OpenedModel
    do {
      model = try OpenedModel(source, mapped: options.memoryLimit == nil)
    } catch {
      let first = source.tensors.first
      throw PipelineError.statisticsNeeded(
        tensor: first?.name ?? "", rows: first?.shape.rows ?? 0,
        columns: first?.shape.rowElementCount ?? 0)
    }
    var calibration = recipe.calibration
    calibration.sequential = .none
    let text = try CalibrationText.read(
      calibration, seed: recipe.seed, for: model, tokenizer: options.tokenizer)
    let pool = WorkerPool(workers: options.workers)
    let memory = options.memoryLimit.map { $0 / 2 }
    let (statistics, _) = try CalibrationRun.run(
      model.weights,
      sequences: text.sequences(of: model, memoryLimit: memory, pool: pool),
      provenance: text.provenance, memoryLimit: memory, pool: pool)
    return CalibrationInput(statistics: statistics, path: text.provenance, hash: text.hash)
  }
}

extension Recipe {
  /// Whether a stage has to know every input before the first weight is touched.
  var looksAhead: Bool {
    stages.contains { stage in
      switch stage {
      case .narrow, .smooth, .budget: true
      case .prune(let options): options.allocation == .adaptive
      default: false
      }
    }
  }
}
