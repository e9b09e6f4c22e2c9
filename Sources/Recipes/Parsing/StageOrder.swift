/// Which orders of stages have no meaning, or an odd one.
enum StageOrder {
  static func check(_ stages: [Stage], _ sink: inout DiagnosticSink) {
    var quantized = false
    var rounded = false
    for (index, stage) in stages.enumerated() {
      switch stage {
      case .quantize: quantized = true
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
      case .lowRank(let options) where quantized && options.of == .weight:
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
    if options.block != nil, options.granularity != .block {
      sink.error(at: options.position, "'block' in 'activations' needs 'granularity: block'")
    }
    if !options.symmetric, isFloat || options.granularity == .tensor || options.scale != .f32 {
      sink.error(
        at: options.position,
        "'symmetric: false' in 'activations' is for integers with f32 scales per token or block")
    }
    if options.scale == .e4m3, options.granularity != .block {
      sink.error(at: options.position, "'scale: e4m3' in 'activations' needs 'granularity: block'")
    }
    if options.scale != .f32, options.granularity == .tensor {
      sink.error(
        at: options.position, "'granularity: tensor' in 'activations' has an f32 scale")
    }
  }
}
