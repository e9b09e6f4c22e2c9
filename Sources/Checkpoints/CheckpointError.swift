/// What can be wrong with a checkpoint. Every case names the file.
public enum CheckpointError: Error, Sendable, Hashable {
  case cannotOpen(path: String, reason: String)
}
