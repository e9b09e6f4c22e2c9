import Architectures
import Checkpoints
import LinearAlgebra
import Recipes
import Tensors

/// What a recipe's stages of the whole model come to, as far as a plan can tell without weights.
///
/// Rotations are settled here, norms being all that they read; smoothing waits for the run, which has
/// the weights, and changes no shape.
struct PlannedEdits {
  /// The model, its rotations folded in.
  var source: any TensorSource
  var calibration: CalibrationInput?
  var rotation: ModelEdit?
  var smoothing: SmoothOptions?
  /// Weights whose inputs get a scale at run time, when smoothing is computed.
  var scaled: Set<String> = []
  /// Weights whose inputs are turned at run time.
  var turned: [String: HadamardRotation] = [:]

  init(
    _ recipe: Recipe, source: any TensorSource, calibration: CalibrationInput?
  ) throws {
    self.source = source
    self.calibration = calibration
    for stage in recipe.modelStages {
      switch stage {
      case .rotate(let options): try rotate(options, recipe)
      case .smooth(let options): try smooth(options)
      default: break
      }
    }
  }

  private func description(_ stage: String) throws -> ModelDescription {
    guard let configuration = source.metadata.configuration else {
      throw PipelineError.editImpossible(
        stage: stage, path: source.path, reason: "there is no config.json that says what it is")
    }
    do {
      return try ModelDescription.resolve(
        configuration: configuration, tensors: source.tensors
      ).description
    } catch {
      throw PipelineError.editImpossible(stage: stage, path: source.path, reason: "\(error)")
    }
  }

  private mutating func rotate(_ options: RotateOptions, _ recipe: Recipe) throws {
    let model = try description("rotate")
    let source = source
    let edit: ModelEdit
    do {
      edit = try ModelEdit.rotation(
        of: model, configuration: source.metadata.configuration ?? "",
        options: RotationOptions(
          residual: options.residual, heads: options.heads, seed: recipe.seed)
      ) { name in
        guard let tensor = source.tensor(named: name) else { return [] }
        return try source.load(tensor).floats()
      }
      self.source = try TransformedSource(source, edit: edit)
    } catch {
      throw PipelineError.editImpossible(stage: "rotate", path: source.path, reason: "\(error)")
    }
    rotation = edit
    calibration = calibration?.edited(by: edit)
    guard options.online else { return }
    for block in model.blocks {
      guard let last = block.feedForward.linears.last else { continue }
      turned[last.weight] = HadamardRotation(
        structure: .spanning(last.inputs), seed: recipe.seed,
        stream: UInt32(1 << 20 + block.index))
    }
  }

  private mutating func smooth(_ options: SmoothOptions) throws {
    let model = try description("smooth")
    guard let calibration else { throw PipelineError.editNeedsStatistics(stage: "smooth") }
    guard smoothing == nil else {
      throw PipelineError.editImpossible(
        stage: "smooth", path: source.path, reason: "one smoothing of a model is enough")
    }
    smoothing = options
    for block in model.blocks {
      for (site, source) in zip(block.sites, block.scaleSources(in: model)) {
        guard
          let statistics = try calibration.statistics.input(
            ofTensor: site.name, columns: site.width)
        else {
          throw PipelineError.statisticsMissing(
            tensor: site.name, rows: 0, columns: site.width, path: calibration.path)
        }
        guard statistics.hasGram || options.method != .awq else {
          throw PipelineError.statisticsWithoutGram(
            tensor: site.name, columns: site.width, path: calibration.path)
        }
        if case .none = source, options.inputs == .all {
          scaled.formUnion(
            block.linears.filter { site.readers.contains($0.module) }.map(\.weight))
        }
      }
    }
  }

  /// What a person should know of them.
  var warnings: [String] {
    (rotation?.notes ?? []).filter { $0.kind == .untied }.map {
      "rotation: '\($0.subject)' is stored apart, \($0.detail)"
    }
  }

  /// The transforms that the model's stages leave to a weight, before its own stages.
  func stages(of tensor: String) -> [ResolvedStage] {
    (scaled.contains(tensor) ? [.channelScale(.smoothing)] : [])
      + (turned[tensor].map { [.hadamard($0)] } ?? [])
  }
}

extension CalibrationInput {
  /// The statistics of an edited model.
  func edited(by edit: ModelEdit) -> CalibrationInput {
    CalibrationInput(statistics: statistics.edited(by: edit), path: path, hash: hash)
  }
}
