import Recipes

/// What can stop a plan or a run.
public enum PipelineError: Error, Sendable {
  case unmatchedSelectors([RecipeDiagnostic])
  case strictGroup(tensor: String, requested: Int, width: Int)
  case rankTooLarge(tensor: String, rank: Int, limit: Int)
  case tooManyOutliers(tensor: String, count: Int, columns: Int)
  case patternDoesNotFit(tensor: String, kept: Int, of: Int, columns: Int)
  case memoryTooSmall(needed: Int, limit: Int, tensor: String)
  case diskTooSmall(needed: Int, free: Int, folder: String)
  case outputExists(String)
  case outputIsModel(String)
  case unfinishedRun(folder: String)
  case nothingToResume(folder: String)
  case changedSinceJournal(folder: String, what: String, then: String, now: String)
  case workFolderBusy(String)
  case damagedJournal(path: String, reason: String)
  case nonFinite(file: String, tensor: String, index: Int)
  case stage(file: String, tensor: String, reason: String)
  case diskFull(path: String, reason: String)
  case file(path: String, reason: String)
  case interrupted(folder: String)
  case shapeMismatch(tensor: String, artefact: [Int], model: [Int], path: String)
  case valuesDiffer(tensor: String, path: String)
  case tensorMissing(tensor: String, path: String)
  case statisticsMismatch(tensor: String, width: Int, columns: Int)
}
