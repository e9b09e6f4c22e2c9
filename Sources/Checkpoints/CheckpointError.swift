/// What can be wrong with a checkpoint. Every case names the file.
public enum CheckpointError: Error, Sendable, Hashable {
  // MARK: Files
  case cannotOpen(path: String, reason: String)
  case missing(path: String)
  case notAFile(path: String)
  case cannotRead(path: String, offset: Int, reason: String)
  case endsEarly(path: String, offset: Int, wanted: Int, size: Int)
  case changedWhileOpen(path: String)
  case cannotMap(path: String, reason: String)
  case cannotWrite(path: String, reason: String)
  case diskFull(path: String, neededBytes: Int, availableBytes: Int)
}
