/// Which orders of stages have no meaning, or an odd one.
enum StageOrder {
  static func check(_ stages: [Stage], _ sink: inout DiagnosticSink) {
    var quantized = false
    for (index, stage) in stages.enumerated() {
      switch stage {
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
      case .finetune where index + 1 < stages.count:
        sink.error(
          at: stage.position,
          "'finetune' tunes the finished artefact, so nothing can follow it; move it to the end")
      default: break
      }
    }
  }
}
