/// One step of a recipe.
///
/// To add a stage: a file in Stages/ with its options and their declarations, a case here, and a
/// line in `Stage.kinds`. Parser, canonical form, schema and reference follow from these.
public enum Stage: Sendable, Hashable {
  case quantize(QuantizeOptions)
  case prune(PruneOptions)
  case lowRank(LowRankOptions)
  case outliers(OutlierOptions)
  case transform(TransformOptions)
  case activations(ActivationOptions)
  case finetune(FinetuneOptions)
}

extension Stage {
  /// Every stage that recipes may name, in the order of the reference.
  static let kinds: [StageKind] = [
    StageKind(wrap: Stage.transform) {
      if case .transform(let options) = $0 { options } else { nil }
    },
    StageKind(wrap: Stage.outliers) {
      if case .outliers(let options) = $0 { options } else { nil }
    },
    StageKind(wrap: Stage.prune) { if case .prune(let options) = $0 { options } else { nil } },
    StageKind(wrap: Stage.lowRank) { if case .lowRank(let options) = $0 { options } else { nil } },
    StageKind(wrap: Stage.quantize) {
      if case .quantize(let options) = $0 { options } else { nil }
    },
    StageKind(wrap: Stage.activations) {
      if case .activations(let options) = $0 { options } else { nil }
    },
    StageKind(wrap: Stage.finetune) {
      if case .finetune(let options) = $0 { options } else { nil }
    },
  ]

  /// The key that names the stage in a recipe: "quantize".
  public var key: String { kind.key }

  /// Where the stage stands in its file; `.none` when it was not read from one.
  public var position: SourcePosition { kind.position(self) }

  var kind: StageKind {
    guard let kind = Self.kinds.first(where: { $0.holds(self) }) else {
      preconditionFailure("a stage without a line in Stage.kinds")
    }
    return kind
  }
}
