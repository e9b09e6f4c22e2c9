/// Which orders of stages have no meaning, or an odd one.
enum StageOrder {
  static func check(_ stages: [Stage], _ sink: inout DiagnosticSink) {
    var quantized = false
    var rounded = false
    var weightStage: Stage?
    var isSmoothed = false
    for (index, stage) in stages.enumerated() {
      if !stage.isModelWide {
        weightStage = weightStage ?? stage
      } else if let weightStage {
        sink.error(
          at: stage.position,
          "'\(stage.key)' changes the whole model; move it before '\(weightStage.key)'")
      }
      switch stage {
      case .narrow where index > 0:
        sink.error(
          at: stage.position,
          "'narrow' changes the shapes that the other stages work on; put it first")
      case .smooth: isSmoothed = true
      case .rotate(let options) where isSmoothed && options.residual:
        sink.error(
          at: stage.position,
          "'rotate' after 'smooth' folds the scales back into the weights; move it before")
      case .quantize: quantized = true
      case .budget where stages.count > 1:
        sink.error(
          at: stage.position,
          "'budget' chooses all stages of a weight; make it the only one, and name other tensors' in "
            + "'overrides'")
      case .activations where rounded:
        sink.error(
          at: stage.position, "inputs are rounded once; give one 'activations' stage")
      case .activations(let options):
        rounded = true
        check(options, &sink)
      case .transform where rounded:
        sink.error(
          at: stage.position,
          "'transform' after 'activations' would change inputs that are rounded; move it before")
      case .transform where quantized:
        sink.error(
          at: stage.position,
          "'transform' after 'quantize' can't change codes that are already chosen; move it before")
      case .lowRank(let options) where quantized && options.subject == .weight:
        sink.warning(
          at: stage.position,
          """
          'low_rank' of the weight after 'quantize' makes the base dense again; quantize after \
          it, or repair with 'of: error'
          """)
      case .finetune where index + 1 < stages.count:
        sink.error(
          at: stage.position,
          "'finetune' tunes the finished artefact, so nothing can follow it; move it to the end")
      default: break
      }
    }
  }

  /// Choices that do not go together.
  private static func check(_ options: ActivationOptions, _ sink: inout DiagnosticSink) {
    let isFloat = options.format.rawValue.hasPrefix("fp")
    let hasBlocks = options.granularity == .block || options.granularity == .tensorBlock
    if options.block != nil, !hasBlocks {
      sink.error(at: options.position, "'block' in 'activations' needs 'granularity: block'")
    }
    if !options.symmetric, isFloat || options.granularity == .tensor || options.scale != .f32 {
      sink.error(
        at: options.position,
        "'symmetric: false' in 'activations' is for integers with f32 scales per token or block")
    }
    if options.granularity == .tensorBlock, options.scale != .e4m3 {
      sink.error(
        at: options.position, "'granularity: tensor_block' in 'activations' needs 'scale: e4m3'")
    }
    if options.scale == .e4m3, !hasBlocks {
      sink.error(at: options.position, "'scale: e4m3' in 'activations' needs 'granularity: block'")
    }
    if options.scale != .f32, options.granularity == .tensor {
      sink.error(
        at: options.position, "'granularity: tensor' in 'activations' has an f32 scale")
    }
  }
}
