import Architectures
import Checkpoints
import LinearAlgebra
import Quantization
import Recipes
import Tensors
import Weights

/// Computes the scales of a plan's smoothing: the one edit that needs weights.
enum Smoothing {
  /// The plan with its smoothing done.
  ///
  /// The edited model stands in place of the source, the statistics and the decisions fit it. A plan
  /// without smoothing comes back as it is.
  ///
  /// - Throws: `PipelineError`.
  static func applied(to plan: Plan) throws -> Plan {
    guard let options = plan.smoothing, let calibration = plan.calibration else { return plan }
    let configuration = plan.source.metadata.configuration ?? ""
    let model = try ModelDescription.resolve(
      configuration: configuration, tensors: plan.source.tensors
    ).description
    let search = SiteSearch(plan: plan, options: options, calibration: calibration)
    let pool = WorkerPool(workers: plan.options.workers)
    let found = try pool.map(model.blocks.count) { index in
      try search.choices(of: model.blocks[index], in: model)
    }
    var edit = ModelEdit()
    for choice in found.joined() {
      edit.scale(
        choice.site, readers: choice.readers, source: choice.source, by: choice.scale,
        shift: choice.shift, compensation: choice.compensation)
    }
    var result = plan
    do {
      result.source = try TransformedSource(plan.source, edit: edit)
    } catch {
      throw PipelineError.editImpossible(
        stage: "smooth", path: plan.source.path, reason: "\(error)")
    }
    result.smoothing = nil
    result.edits.append(edit)
    result.calibration = calibration.edited(by: edit)
    result.tensors = plan.tensors.map { planned in
      planned.settingInputScale(edit.inputScales[planned.tensor.name])
    }
    return result
  }
}

extension PlannedTensor {
  /// The tensor with the scale of its inputs known; where there is none to set, the stage goes.
  fileprivate func settingInputScale(_ scale: [Float]?) -> PlannedTensor {
    guard case .compress(var compression) = decision,
      let index = compression.stages.firstIndex(of: .channelScale(.smoothing))
    else { return self }
    if let scale {
      compression.stages[index] = .channelScale(.given(scale))
    } else {
      compression.stages.remove(at: index)
    }
    return PlannedTensor(
      index: self.index, tensor: tensor, decision: .compress(compression),
      storedBytes: storedBytes, peakBytes: peakBytes, seconds: seconds)
  }
}

/// Scales of the sites of one block after the other.
private struct SiteSearch: Sendable {
  let plan: Plan
  let options: SmoothOptions
  let calibration: CalibrationInput
  private let compressions: [String: TensorDecision.Compression]
  private let tensors: [String: TensorDescription]

  struct Choice: Sendable {
    var site: SiteDescription
    var readers: [LinearDescription]
    var source: ScaleSource
    var scale: [Float]
    var shift: [Double]?
    var compensation: [String: [Double]] = [:]
  }

  init(plan: Plan, options: SmoothOptions, calibration: CalibrationInput) {
    self.plan = plan
    self.options = options
    self.calibration = calibration
    compressions = Dictionary(
      plan.tensors.compactMap { planned in
        if case .compress(let compression) = planned.decision {
          (planned.tensor.name, compression)
        } else {
          nil
        }
      }
    ) { first, _ in first }
    tensors = Dictionary(plan.source.tensors.map { ($0.name, $0) }) { first, _ in first }
  }

  func choices(of block: BlockDescription, in model: ModelDescription) throws -> [Choice] {
    var result: [Choice] = []
    for (site, source) in zip(block.sites, block.scaleSources(in: model)) {
      if case .none = source, options.inputs == .foldable { continue }
      let readers = block.linears.filter { site.readers.contains($0.module) }
      // A scale for nobody who rounds gains nothing.
      guard readers.contains(where: { compressions[$0.weight] != nil }),
        let statistics = calibration.statistics.input(of: site.name)
      else { continue }
      if let choice = try choice(site, readers, source, statistics) { result.append(choice) }
    }
    return result
  }

  private func choice(
    _ site: SiteDescription, _ readers: [LinearDescription], _ source: ScaleSource,
    _ statistics: InputStatistics
  ) throws -> Choice? {
    let weights = try readers.map(matrix)
    var choice = Choice(
      site: site, readers: readers, source: source,
      scale: [Float](repeating: 1, count: site.width))
    switch options.method {
    case .smoothQuant:
      choice.scale = source.tied(
        try SmoothQuant.scale(
          maxima: statistics.maxima, columnMaxima: ColumnMaxima.of(weights),
          alpha: options.alpha ?? 0.5))
    case .outlierTune:
      var maxima = statistics.maxima
      if case .norm(let norm) = source, norm.bias != nil, readers.allSatisfy({ $0.bias != nil }) {
        let shift = OutlierTune.shift(sums: statistics.sums, rows: statistics.rows)
        maxima = statistics.changed(by: .shift(shift)).maxima
        choice.shift = shift
        for (reader, weight) in zip(readers, weights) {
          choice.compensation[reader.module] = (0..<weight.rows).map { row in
            zip(weight.values[weight.range(ofRow: row)], shift)
              .reduce(0.0) { $0 + Double($1.0) * $1.1 }
          }
        }
      }
      choice.scale = source.tied(try OutlierTune.scale(maxima: maxima))
    case .awq:
      guard let found = try searched(readers, weights, source, statistics) else { return nil }
      choice.scale = found
    }
    return choice
  }

  /// AWQ's scale; nil when nothing is better than none.
  private func searched(
    _ readers: [LinearDescription], _ weights: [Matrix<Float>], _ source: ScaleSource,
    _ statistics: InputStatistics
  ) throws -> [Float]? {
    guard let gram = statistics.gram else { return nil }
    let grids = readers.map { compressions[$0.weight]?.rounding }
    guard let reach = grids.compactMap({ $0?.reach(columns: gram.columns) }).first else {
      return nil
    }
    let coarse = try grids.map { try $0?.coarse() }
    let count = Double(max(statistics.rows, 1))
    let choice = try AWQ.search(
      activations: statistics.absoluteSums.map { Float($0 / count) }, gram: gram,
      readers: weights, reach: reach, options: AWQ.Options(grid: options.grid ?? 20),
      tie: source.tied, quantize: { try coarse[$0]?.rounded($1) ?? $1 },
      confirming: { try grids[$0]?.rounded($1, gram: gram, scale: $2) ?? $1 })
    return choice.scale.allSatisfy { $0 == 1 } ? nil : choice.scale
  }

  private func matrix(_ linear: LinearDescription) throws -> Matrix<Float> {
    guard let tensor = tensors[linear.weight] else {
      throw PipelineError.tensorMissing(tensor: linear.weight, path: plan.source.path)
    }
    let values = try plan.source.load(tensor).floats()
    if let index = values.firstIndex(where: { !$0.isFinite }) {
      throw PipelineError.nonFinite(
        file: plan.source.path, tensor: linear.weight, index: index)
    }
    return linear.view.matrix(from: values)
  }
}
