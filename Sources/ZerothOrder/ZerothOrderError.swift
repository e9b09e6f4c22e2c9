/// What can go wrong while a model is tuned, or its log is replayed.
public enum ZerothOrderError: Error, Sendable, Hashable {
  case nothingToTune(path: String, kinds: [String])
  case badOption(name: String, found: String, expected: String)
  case notALog(path: String)
  case logVersion(path: String, found: Int, known: Int)
  case logDamaged(path: String, reason: String)
  case logOfOtherBase(path: String, found: String, expected: String)
  case logOfOtherRun(path: String, what: String, found: String, expected: String)
  case logExists(path: String)
  case stepsBeyondLog(path: String, asked: Int, found: Int)
  case neverFinite(steps: Int)
  case logFile(path: String, reason: String)
  case interrupted(path: String, step: Int)
  case replayDiffers(path: String, found: String, expected: String)
}

extension ZerothOrderError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .nothingToTune(let path, let kinds):
      "'\(path)' has no parameters of the kinds \(kinds.joined(separator: ", ")); "
        + "'pith inspect' lists what it has, --parameters chooses others"
    case .badOption(let name, let found, let expected):
      "'\(name)' is \(found); expected \(expected)"
    case .notALog(let path):
      "'\(path)' is no seed log; 'pith finetune' writes one beside its output"
    case .logVersion(let path, let found, let known):
      "'\(path)' is a seed log of version \(found); this program knows up to \(known), "
        + "take a newer one"
    case .logDamaged(let path, let reason):
      "'\(path)' is damaged: \(reason)"
    case .logOfOtherBase(let path, let found, let expected):
      "'\(path)' belongs to another base: it starts from \(expected.prefix(16))…, this file is "
        + "\(found.prefix(16))…; give the artefact that the run started from"
    case .logOfOtherRun(let path, let what, let found, let expected):
      "'\(path)' is the log of another run: its \(what) is \(found), this run's \(expected); "
        + "go on with the same options, or choose another --log"
    case .logExists(let path):
      "'\(path)' holds an unfinished run; pass --resume to go on with it, or --force to start afresh"
    case .stepsBeyondLog(let path, let asked, let found):
      "'\(path)' has \(found) steps, \(asked) were asked for; ask for at most \(found)"
    case .neverFinite(let steps):
      "the loss was not finite in \(steps) steps in a row; take a smaller --epsilon or "
        + "--learning-rate"
    case .logFile(let path, let reason): "the log '\(path)' cannot be used: \(reason)"
    case .interrupted(let path, let step):
      "stopped after step \(step); the same command with --resume goes on from '\(path)'"
    case .replayDiffers(let path, let found, let expected):
      "replaying '\(path)' gives \(found.prefix(16))… where the run had \(expected.prefix(16))…; "
        + "the log or the base was changed"
    }
  }
}
