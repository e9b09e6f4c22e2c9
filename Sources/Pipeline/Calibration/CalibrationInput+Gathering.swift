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
    let model = try opened(source, options: options)
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

  /// A model that can be run.
  ///
  /// - Throws: `PipelineError.statisticsNeeded` for others.
  static func opened(
    _ source: any TensorSource, options: PlanOptions
  ) throws(PipelineError) -> OpenedModel {
    do {
      return try OpenedModel(source, mapped: options.memoryLimit == nil)
    } catch {
      let first = source.tensors.first
      throw .statisticsNeeded(
        tensor: first?.name ?? "", rows: first?.shape.rows ?? 0,
        columns: first?.shape.rowElementCount ?? 0)
    }
  }
}

extension Recipe {
  /// Whether a stage has to know every input of the dense model before the first weight is touched.
  ///
  /// What comes after a narrowing that goes along with the text has the narrowed model's inputs.
  var looksAhead: Bool {
    let walks = walkedNarrowing != nil
    return stages.contains { stage in
      switch stage {
      case .narrow(let options): !walks || options.dropBlocks != nil
      case .smooth: !walks
      case .budget: true
      case .prune(let options): options.allocation == .adaptive && !walks
      default: false
      }
    }
  }
}
