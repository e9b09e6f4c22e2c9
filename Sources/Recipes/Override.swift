/// Other stages, or other options, for some of the tensors.
public struct Override: Sendable, Hashable {
  public var targets: [Selector]
  public var action: Action
  @Incidental public var position: SourcePosition

  /// What an override does to the stages of a tensor that it matches.
  public enum Action: Sendable, Hashable {
    /// Changes options of the stages that are there.
    case set([StagePatch])
    /// Replaces the whole list.
    case stages([Stage])
    /// Leaves the tensor as it is.
    case skip
  }

  public init(targets: [Selector], action: Action, position: SourcePosition = .none) {
    self.targets = targets
    self.action = action
    self.position = position
  }

  /// Whether one of the selectors matches.
  public func matches(_ name: String) -> Bool { targets.contains { $0.matches(name) } }
}
