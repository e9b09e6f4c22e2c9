import LinearAlgebra
import Pruning
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
    var isJoining = false
    for stage in stages {
      defer {
        if case .prune(let options) = stage {
          isJoining = options.joint ?? true
        } else {
          isJoining = false
        }
      }
      switch stage {
      case .quantize(let options):
        let next = try quantize(options, view, tensor, recipe, &notes)
        if let joint = joined(resolved.last, next, isWanted: isJoining) {
          resolved[resolved.count - 1] = joint
        } else {
          resolved.append(next)
        }
      case .narrow: continue
      case .prune(let options):
        resolved.append(try prune(options, view, tensor, recipe))
      case .lowRank(let options):
        resolved.append(.lowRank(try lowRank(options, view, tensor, recipe)))
      case .outliers(let options):
        if options.method == .activations,
          stages.prefix(while: { $0 != stage }).contains(where: \.isTransform)
        {
          throw .stage(
            file: recipe.file, tensor: tensor,
            reason: "outliers by 'activations' must come before 'transform'")
        }
        resolved.append(try outliers(options, view, tensor))
      case .budget:
        throw .stage(
          file: recipe.file, tensor: tensor,
          reason: "'budget' stands among the recipe's stages, not in an override")
      case .transform(let options):
        switch options.method {
        case .channelScale: resolved.append(.channelScale(.columns(alpha: options.alpha)))
        case .hadamard:
          resolved.append(
            .hadamard(
              HadamardRotation(structure: .spanning(view.columns), seed: recipe.seed)))
        }
      case .rotate, .smooth: break
      case .finetune:
        // Of the finished artefact, not of one weight (`TuningStage`).
        continue
      case .activations(let options):
        resolved.append(try activations(options, tensor, recipe))
      }
    }
    try checkTurns(resolved, tensor, recipe)
    return TensorDecision.Compression(view: view, stages: resolved, notes: notes)
  }

  private static func quantize(
    _ options: QuantizeOptions, _ view: WeightView, _ tensor: String, _ recipe: Recipe,
    _ notes: inout [String]
  ) throws(PipelineError) -> ResolvedStage {
    if let option = options.foreignOptions.first {
      throw .stage(
        file: recipe.file, tensor: tensor, reason: "'\(option)' is an option of method 'gptq' only")
    }
    if let contradiction = options.contradiction {
      throw .stage(file: recipe.file, tensor: tensor, reason: contradiction)
    }
    if let format = options.format, format.isGGML {
      let blocks = try blocks(format, view, tensor, recipe, &notes)
      return options.method == .gptq
        ? .gptqFormat(blocks, GPTQOptions(options)) : .format(blocks)
    }
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
    do {
      if let format = options.format {
        let resolved = try scheme(format, options, granularity: granularity)
        if options.method == .gptq { return .gptqFormat(resolved, GPTQOptions(options)) }
        return options.refit == true ? .refittedFormat(resolved) : .format(resolved)
      }
      let scheme = try IntegerScheme(
        bits: options.bits, symmetric: options.symmetric, granularity: granularity,
        scaleType: options.scales.dtype,
        clip: options.clip == .none ? .none : .meanSquare())
      switch options.method {
      case .rtn:
        if options.clip == .output { return .weightedRounding(scheme) }
        return options.refit == true ? .refitted(scheme) : .quantize(scheme)
      case .hqq:
        guard granularity != .tensor else {
          throw PipelineError.stage(
            file: recipe.file, tensor: tensor, reason: "'hqq' takes groups of inputs, or 'channel'")
        }
        return .hqq(scheme)
      case .gptq:
        var choices = GPTQOptions(options)
        if let share = options.salientGroups, case .group = granularity {
          let mixed = try MixedScheme(scheme, share: share)
          if mixed.counts(columns: view.columns).high > 0 {
            return .gptqFormat(.mixed(mixed), choices)
          }
          notes.append("too few groups to give some more bits: \(scheme.bits) everywhere")
        }
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
    _ options: PruneOptions, _ view: WeightView, _ tensor: String, _ recipe: Recipe
  ) throws(PipelineError) -> ResolvedStage {
    if let option = options.foreignOptions.first {
      throw .stage(
        file: recipe.file, tensor: tensor,
        reason: "'\(option.name)' is an option of \(option.owner) only")
    }
    if options.method == .obc, view.columns > OptimalBrain.largestWidth {
      throw .stage(
        file: recipe.file, tensor: tensor,
        reason: "method 'obc' is meant for at most \(OptimalBrain.largestWidth) inputs, and there "
          + "are \(view.columns); use 'sparsegpt' with 'refit: true'")
    }
    switch options.amount {
    case .sparsity(let fraction):
      let isByRow = options.method == .wanda || options.scope == .row
      return .prune(
        PruneChoice(options, .fraction(fraction, of: isByRow ? .row : .matrix)))
    case .pattern(let kept, let of):
      guard view.columns % of == 0, let pattern = try? KeepPattern(keep: kept, of: of) else {
        throw .patternDoesNotFit(tensor: tensor, kept: kept, of: of, columns: view.columns)
      }
      return .prune(PruneChoice(options, .pattern(pattern)))
    }
  }

  /// SparseGPT and a GPTQ that follows it, in one sweep; nil where they stay two stages.
  private static func joined(
    _ last: ResolvedStage?, _ next: ResolvedStage, isWanted: Bool
  ) -> ResolvedStage? {
    guard isWanted, case .prune(var choice)? = last, choice.method == .sparseGPT,
      !choice.isRefitting, choice.rounding == nil, case .gptq(let scheme, let options) = next
    else { return nil }
    choice.rounding = PruneChoice.Rounding(scheme: scheme, refitsScales: options.refit)
    return .prune(choice)
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
      case .tensorBlock: .tensorBlock(options.block ?? 16, maximum: nil)
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
    if let bounded = options.bounded { self.bounded = bounded }
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
