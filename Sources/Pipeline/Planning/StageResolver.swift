import Quantization
import Recipes
import Tensors
import Weights

/// Turns a recipe's stages into the choices made for one weight.
enum StageResolver {
  /// - Throws: `PipelineError` when a choice does not fit this weight.
  static func resolve(
    _ stages: [Stage], view: WeightView, tensor: String, _ recipe: Recipe
  ) throws(PipelineError) -> TensorDecision.Compression {
    var notes: [String] = []
    var resolved: [ResolvedStage] = []
    for stage in stages {
      switch stage {
      case .quantize(let options):
        resolved.append(try quantize(options, view, tensor, recipe, &notes))
      case .prune(let options):
        resolved.append(try prune(options, view, tensor))
      case .lowRank(let options):
        let limit = min(view.rows, view.columns)
        guard options.rank <= limit else {
          throw .rankTooLarge(tensor: tensor, rank: options.rank, limit: limit)
        }
        resolved.append(
          .lowRank(
            of: options.of == .weight ? .weight : .error, rank: options.rank,
            factorType: options.factors.dtype))
      case .outliers(let options):
        if options.method == .activations,
          stages.prefix(while: { $0 != stage }).contains(where: \.isTransform)
        {
          throw .stage(
            file: recipe.file, tensor: tensor,
            reason: "outliers by 'activations' must come before 'transform'")
        }
        resolved.append(try outliers(options, view, tensor))
      case .transform(let options):
        resolved.append(.channelScale(alpha: options.alpha))
      case .finetune:
        // Of the finished artefact, not of one weight (`TuningStage`).
        continue
      case .activations(let options):
        resolved.append(try activations(options, tensor, recipe))
      }
    }
    return TensorDecision.Compression(view: view, stages: resolved, notes: notes)
  }

  private static func quantize(
    _ options: QuantizeOptions, _ view: WeightView, _ tensor: String, _ recipe: Recipe,
    _ notes: inout [String]
  ) throws(PipelineError) -> ResolvedStage {
    let granularity: Granularity
    switch options.group {
    case .tensor: granularity = .tensor
    case .channel: granularity = .channel
    case .inputs(let length):
      if view.columns % length != 0, recipe.strictGroups {
        throw .strictGroup(tensor: tensor, requested: length, width: view.columns)
      }
      let fallback = GroupFallback.resolve(requested: length, columns: view.columns)
      granularity = fallback.granularity
      if let note = fallback.note { notes.append(note) }
    }
    if let option = options.foreignOptions.first {
      throw .stage(
        file: recipe.file, tensor: tensor, reason: "'\(option)' is an option of method 'gptq' only")
    }
    if let contradiction = options.contradiction {
      throw .stage(file: recipe.file, tensor: tensor, reason: contradiction)
    }
    do {
      if let format = options.format {
        return .format(try scheme(format, options, granularity: granularity))
      }
      let scheme = try IntegerScheme(
        bits: options.bits, symmetric: options.symmetric, granularity: granularity,
        scaleType: options.scales.dtype,
        clip: options.clip == .mse ? .meanSquare() : .none)
      switch options.method {
      case .rtn: return options.refit == true ? .refitted(scheme) : .quantize(scheme)
      case .hqq:
        guard granularity != .tensor else {
          throw PipelineError.stage(
            file: recipe.file, tensor: tensor, reason: "'hqq' takes groups of inputs, or 'channel'")
        }
        return .hqq(scheme)
      case .gptq:
        var choices = GPTQOptions(options)
        if let share = options.weakColumns {
          choices.weakColumns = min(
            max(1, Int((share * Double(view.columns)).rounded())), max(view.columns - 1, 0))
        }
        return .gptq(scheme, choices)
      }
    } catch {
      throw .stage(file: recipe.file, tensor: tensor, reason: "\(error)")
    }
  }

  private static func prune(
    _ options: PruneOptions, _ view: WeightView, _ tensor: String
  ) throws(PipelineError) -> ResolvedStage {
    switch options.amount {
    case .sparsity(let fraction): return .prune(.fraction(fraction))
    case .pattern(let kept, let of):
      guard view.columns % of == 0 else {
        throw .patternDoesNotFit(tensor: tensor, kept: kept, of: of, columns: view.columns)
      }
      return .prune(.keeping(kept, of: of))
    }
  }

  private static func activations(
    _ options: ActivationOptions, _ tensor: String, _ recipe: Recipe
  ) throws(PipelineError) -> ResolvedStage {
    guard let format = ActivationScheme.Format(rawValue: options.format.rawValue),
      let scale = ActivationScheme.Scale(rawValue: options.scale.rawValue)
    else {
      throw .stage(
        file: recipe.file, tensor: tensor, reason: "no activations in '\(options.format)'")
    }
    let granularity: ActivationScheme.Granularity =
      switch options.granularity {
      case .token: .token
      case .tensor: .tensor(maximum: nil)
      case .block: .block(options.block ?? 32)
      }
    let scheme = ActivationScheme(
      format: format, granularity: granularity, symmetric: options.symmetric, scale: scale,
      clip: Float(options.clip))
    do { try scheme.validate() } catch {
      throw .stage(file: recipe.file, tensor: tensor, reason: "\(error)")
    }
    return .activations(scheme)
  }

  private static func outliers(
    _ options: OutlierOptions, _ view: WeightView, _ tensor: String
  ) throws(PipelineError) -> ResolvedStage {
    let count: Int
    switch options.amount {
    case .count(let value): count = value
    case .fraction(let share): count = max(1, Int((share * Double(view.columns)).rounded()))
    }
    guard count < view.columns else {
      throw .tooManyOutliers(tensor: tensor, count: count, columns: view.columns)
    }
    return options.method == .activations
      ? .activationOutliers(count: count, valueType: options.values.dtype)
      : .outliers(count: count, valueType: options.values.dtype)
  }
}

extension Stage {
  fileprivate var isTransform: Bool { if case .transform = self { true } else { false } }
}

extension GPTQOptions {
  /// The options of a recipe's stage, its absent ones by default.
  init(_ options: QuantizeOptions) {
    self.init()
    if let damping = options.damping { self.damping = damping }
    if let refit = options.refit { self.refit = refit }
    if options.rounding == .learned { rounding = .learned }
    switch options.order {
    case nil: break
    case .some(.none): order = .none
    case .activation: order = .activation
    case .groups: order = .groups
    }
  }
}

extension QuantizeOptions.Scales {
  /// The element type of plain scales.
  var dtype: DType {
    switch self {
    case .f32: .f32
    case .bf16: .bf16
    default: .f16
    }
  }
}

extension FloatFormat {
  /// The element type of the same name.
  var dtype: DType {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    }
  }
}
