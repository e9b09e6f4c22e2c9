import Evaluation
import ZerothOrder

/// A run of tuning as a user asks for it: paths and options, nothing opened yet.
public struct TuningRequest: Sendable {
  /// What is learnt.
  public enum Goal: String, Sendable, Hashable, CaseIterable {
    /// The teacher's distribution on unlabelled text.
    case kl
    /// The next token of a text.
    case lm
    /// The right option of a template.
    case options
    /// The teacher's choice among the options of a template.
    case optionsKL = "options-kl"
    /// Answers that the model writes, by the F1 of their words or by equality.
    case answersF1 = "answers-f1"
    case answersAccuracy = "answers-accuracy"
  }

  /// An artefact or a dense checkpoint.
  public var base: String
  /// Text, JSONL, or an HDF5 file of windows.
  public var data: String
  /// Never learnt from; nil takes the last tenth of `data`.
  public var heldOut: String?
  /// The most held-out examples.
  public var heldOutCount = 64
  /// nil: options with a template, kl with a teacher, else lm.
  public var goal: Goal?
  /// A second goal on the same examples' text, and its weight.
  public var mixed: [(goal: Goal, weight: Double)] = []
  public var teacher: String?
  public var template: String?
  public var labelField = "label"
  public var answerField = "answer"
  public var choicesField: String?
  public var maximumTextTokens: Int?
  /// Whether the tokenizer's beginning token goes first.
  public var withBeginning = false
  /// JSONL without a template: the field with the text.
  public var field = "text"
  public var tokenizer: String?
  /// Tokens of a window of text.
  public var length: Int?
  /// The most windows to learn from; the teacher's word on each is kept.
  public var windows = 2048
  /// The most records of a template to learn from, the first ones; nil: all.
  public var records: Int?
  public var options = TuningOptions()

  public var output: String
  /// nil: the output's name with ".zolog".
  public var log: String?
  public var resume = false
  public var force = false
  public var workers = 1
  public var memoryLimit: Int?

  public init(base: String, data: String, output: String) {
    self.base = base
    self.data = data
    self.output = output
  }

  /// A second goal and its weight as text: "lm=0.1"; nil for anything else.
  public static func mixed(_ text: String) -> (goal: Goal, weight: Double)? {
    let parts = text.split(separator: "=")
    guard parts.count == 2, let goal = Goal(rawValue: String(parts[0])),
      let weight = Double(parts[1]), weight > 0, weight.isFinite
    else { return nil }
    return (goal, weight)
  }

  public var logPath: String { log ?? output + ".zolog" }
}
