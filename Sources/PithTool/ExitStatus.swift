import ArgumentParser
import Foundation
import Pith

/// The program's exit codes, and which error means which.
enum ExitStatus: Int32 {
  case good = 0
  case boundMissed = 1
  case usage = 2
  case badInput = 3
  case outOfResource = 4
  case stopped = 75

  /// Prints an error and ends the program with its code.
  static func exit(for error: any Error) -> Never {
    if let status = error as? ExitStatus { Foundation.exit(status.rawValue) }
    if let status = status(of: error) {
      // A recipe's diagnostics carry their own "error:" behind the position.
      let text = "\(error)"
      StandardError.write(error is RecipeErrors ? text : "error: \(text)")
      Foundation.exit(status.rawValue)
    }
    // Help and version are "errors" of the argument parser that end well.
    let code = PithCommand.exitCode(for: error)
    let message = PithCommand.fullMessage(for: error)
    if code == .success {
      print(message)
      Foundation.exit(0)
    }
    if !message.isEmpty { StandardError.write(message) }
    Foundation.exit(ExitStatus.usage.rawValue)
  }

  private static func status(of error: any Error) -> ExitStatus? {
    switch error {
    case let error as PipelineError: pipelineStatus(of: error)
    case is RecipeErrors: .usage
    case CheckpointError.diskFull, InterchangeError.memoryTooSmall: .outOfResource
    case is CheckpointError: .badInput
    case is ArtefactError, is WeightsError, is TensorsError, is LinearAlgebraError,
      is QuantizationError, is LowRankError, is InterchangeError:
      .badInput
    case let error as TextError: textStatus(of: error)
    case ModelError.badSampling, EvaluationError.tooFewModels,
      EvaluationError.tokenFileNeedsNoWindows, EvaluationError.tooManyTopTokens:
      .usage
    case ZerothOrderError.interrupted: .stopped
    case ZerothOrderError.badOption, ZerothOrderError.logExists, ZerothOrderError.stepsBeyondLog,
      ZerothOrderError.nothingToTune, ZerothOrderError.logOfOtherRun:
      .usage
    case is ZerothOrderError, is ObjectivesError: .badInput
    case ModelError.scratchFile: .outOfResource
    case is ModelError, is ArchitectureError, is EvaluationError: .badInput
    case is UsageError: .usage
    default: nil
    }
  }

  private static func textStatus(of error: TextError) -> ExitStatus {
    switch error {
    case .badWindow, .templateWithoutSlot, .templateWithoutOptions, .templateWithTwoOptionLists,
      .templateEmptySlot, .templateUnbalanced, .templateEmptyOption, .templateRepeatedOption,
      .tooFewExamples:
      .usage
    default: .badInput
    }
  }

  private static func pipelineStatus(of error: PipelineError) -> ExitStatus {
    switch error {
    case .unmatchedSelectors, .strictGroup, .rankTooLarge, .tooManyOutliers, .patternDoesNotFit,
      .statisticsNeeded, .notCalibratable, .lookedUp, .editNeedsStatistics, .search,
      .outputExists, .outputIsModel, .unfinishedRun, .nothingToResume, .changedSinceJournal,
      .workFolderBusy, .tuning:
      .usage
    case .memoryTooSmall, .calibrationMemory, .diskTooSmall, .diskFull: .outOfResource
    case .interrupted: .stopped
    case .file, .notRunnable, .statisticsMissing,
      .statisticsWithoutGram, .damagedJournal,
      .nonFinite, .stage, .editImpossible, .shapeMismatch, .valuesDiffer, .tensorMissing,
      .keyValueCacheDiffers:
      .badInput
    }
  }
}

extension ExitStatus: Error {}

/// A wrong use of the command line that the argument parser does not see.
struct UsageError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The standard error stream.
enum StandardError {
  static func write(_ text: String) {
    FileHandle.standardError.write(Data((text.hasSuffix("\n") ? text : text + "\n").utf8))
  }
}
