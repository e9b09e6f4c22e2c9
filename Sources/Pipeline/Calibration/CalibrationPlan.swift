import Architectures
import Checkpoints
import Models
import Recipes

/// How a run gathers the statistics of its calibrated stages itself: block after block, while it
/// compresses.
public struct CalibrationPlan: Sendable {
  public let text: CalibrationText
  public let propagation: Calibration.Propagation
  public let target: Calibration.Target
  public let forecast: CalibrationForecast
  let model: OpenedModel
  let schedule: CalibrationSchedule

  /// - Throws: `PipelineError.notRunnable`, `.notCalibratable`, and what reading the text throws.
  init(
    _ recipe: Recipe, for source: any TensorSource, _ planned: [PlannedTensor],
    options: PlanOptions
  ) throws {
    do {
      model = try OpenedModel(source, mapped: false)
    } catch let error as ArchitectureError {
      throw Self.notRunnable(planned, reason: "\(error)")
    }
    schedule = try CalibrationSchedule(planned, model.description)
    text = try CalibrationText.read(
      recipe.calibration, seed: recipe.seed, for: model, tokenizer: options.tokenizer)
    propagation = recipe.calibration.sequential
    target = recipe.calibration.target
    forecast = CalibrationForecast(
      model.description, schedule, text, propagation,
      watchesDrift: Self.watchesDrift(recipe.calibration), workers: options.workers)
  }

  /// Whether the dense model goes through the blocks beside what it becomes.
  var watchesDrift: Bool { propagation == .layers && target != .own }

  private static func watchesDrift(_ calibration: Calibration) -> Bool {
    calibration.sequential == .layers && calibration.target != .own
  }

  private static func notRunnable(_ planned: [PlannedTensor], reason: String) -> PipelineError {
    for tensor in planned where tensor.decision.isCalibrated {
      guard case .compress(let compression) = tensor.decision else { continue }
      return .notRunnable(
        tensor: tensor.tensor.name, rows: compression.view.rows,
        columns: compression.view.columns, reason: reason)
    }
    return .notRunnable(tensor: "", rows: 0, columns: 0, reason: reason)
  }
}
