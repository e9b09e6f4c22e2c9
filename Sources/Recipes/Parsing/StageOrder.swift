/// Which orders of stages have no meaning, or an odd one.
enum StageOrder {
  static func check(_ stages: [Stage], _ sink: inout DiagnosticSink) {
    var quantized = false
    var weightStage: Stage?
    var isSmoothed = false
    for stage in stages {
      if !stage.isModelWide {
        weightStage = weightStage ?? stage
      } else if let weightStage {
        sink.error(
          at: stage.position,
          "'\(stage.key)' changes the whole model; move it before '\(weightStage.key)'")
      }
      switch stage {
      case .smooth: isSmoothed = true
      case .rotate(let options) where isSmoothed && options.residual:
        sink.error(
          at: stage.position,
          "'rotate' after 'smooth' folds the scales back into the weights; move it before")
      case .quantize: quantized = true
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
      default: break
      }
    }
  }
}
