import Pith

/// What `--reference` names: a model that is run beside the others, or what one was saved to say.
enum ReferenceInput {
  case model(OpenedModel)
  case saved(SavedReference)

  init(_ path: String, mapped: Bool) throws {
    self =
      SavedReference.isReference(path)
      ? .saved(try SavedReference(path)) : .model(try OpenedModel.open(path, mapped: mapped))
  }

  /// The model, where one is at hand.
  var model: OpenedModel? {
    if case .model(let model) = self { model } else { nil }
  }

  var summary: ModelSummary {
    switch self {
    case .model(let model): ModelSummary(model)
    case .saved(let saved): saved.model
    }
  }

  /// Scores models on the same windows beside the reference.
  ///
  /// With a saved reference a model at a time is in memory, otherwise all share the limit.
  ///
  /// - Parameter progress: told how many windows are done, of all models together where they run
  ///   one after the other (`passes`).
  /// - Returns: every model's scores, and the seconds that scoring took without loading.
  func score(
    _ models: [OpenedModel], windows: [TokenWindow], memoryLimit: Int?, pool: WorkerPool,
    progress: (Int) -> Void
  ) throws -> (scores: [TokenScores], seconds: Double) {
    let clock = ContinuousClock()
    switch self {
    case .model(let reference):
      let budget = memoryLimit.map { $0 / (models.count + 1) }
      let loaded = try models.map { try $0.load(memoryLimit: budget, pool: pool) }
      let loadedReference = try reference.load(memoryLimit: budget, pool: pool)
      let start = clock.now
      let scores = try WindowScoring.run(
        loaded, reference: loadedReference, windows: windows, memoryLimit: memoryLimit,
        progress: progress)
      return (scores, (clock.now - start).seconds)
    case .saved(let saved):
      for model in models {
        try saved.check(windows, vocabulary: model.description.vocabularySize)
      }
      var seconds = 0.0
      let scores = try models.enumerated().map { index, model in
        let loaded = try model.load(memoryLimit: memoryLimit, pool: pool)
        let start = clock.now
        let result = try WindowScoring.run(
          loaded, saved: saved, windows: windows, memoryLimit: memoryLimit,
          progress: { progress(index * windows.count + $0) })
        seconds += (clock.now - start).seconds
        return result
      }
      return (scores, seconds)
    }
  }

  /// How often the windows are gone through.
  func passes(models: Int) -> Int {
    if case .saved = self { models } else { 1 }
  }
}
