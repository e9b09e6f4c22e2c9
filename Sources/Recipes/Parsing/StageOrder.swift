/// Which orders of stages have no meaning, or an odd one.
enum StageOrder {
  static func check(_ stages: [Stage], _ sink: inout DiagnosticSink) {
    var quantized = false
    for (index, stage) in stages.enumerated() {
      switch stage {
      case .narrow where index > 0:
        sink.error(
          at: stage.position,
          "'narrow' changes the shapes that the other stages work on; put it first")
      case .quantize: quantized = true
      case .budget where stages.count > 1:
        sink.error(
          at: stage.position,
          "'budget' chooses all stages of a weight; make it the only one, and name other tensors' in "
            + "'overrides'")
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
}
