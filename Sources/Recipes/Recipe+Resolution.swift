extension Recipe {
  /// What the recipe says of a tensor, apart from its stages.
  public enum Selection: Sendable, Hashable {
    /// A target names it.
    case targeted(by: Selector)
    /// `targets` is absent: every weight matrix except embeddings and heads.
    case byDefault
    /// No target names it.
    case notTargeted
    /// A target names it, and `ignore` too.
    case ignored(by: Selector)
  }

  /// Whether a tensor is to be compressed, and by which selector.
  public func selection(of tensorName: String) -> Selection {
    if let selector = ignore.first(where: { $0.matches(tensorName) }) {
      return .ignored(by: selector)
    }
    guard let targets else { return .byDefault }
    guard let selector = targets.first(where: { $0.matches(tensorName) }) else {
      return .notTargeted
    }
    return .targeted(by: selector)
  }

  /// The stages of a tensor: the recipe's own, changed by every override that matches, in order.
  ///
  /// Empty when an override skips the tensor. Doesn't look at `targets` and `ignore`, and leaves out
  /// the stages of the whole model.
  public func stages(for tensorName: String) -> [Stage] {
    overrides.reduce(stages.filter { !$0.isModelWide }) { stages, override in
      guard override.matches(tensorName) else { return stages }
      switch override.action {
      case .skip: return []
      case .stages(let replacement): return replacement.filter { !$0.isModelWide }
      case .set(let patches):
        return stages.map { stage in patches.reduce(stage) { $0.applying($1) } }
      }
    }
  }

  /// The stages that change the whole model before its weights, in order.
  public var modelStages: [Stage] { stages.filter(\.isModelWide) }

  /// The overrides that match a tensor, in order.
  public func overrides(for tensorName: String) -> [Override] {
    overrides.filter { $0.matches(tensorName) }
  }
}
