import Models
import Tensors
import Text

/// Answers that the model writes greedily, held against the right ones: nothing differentiable.
///
/// The loss is 1 − the mean metric; a staircase in the parameters, so that a difference of exactly
/// 0 between two sides is a normal case.
public struct GeneratedAnswers: GenerativeObjective {
  /// How an answer is held against the right ones.
  public enum Metric: String, Sendable, Hashable, CaseIterable {
    /// The F1 of their words.
    case f1
    /// Equal after normalization.
    case accuracy

    func value(_ answer: String, _ right: String) -> Double {
      switch self {
      case .f1: AnswerMetrics.f1(answer, right)
      case .accuracy: AnswerMetrics.isExact(answer, right) ? 1 : 0
      }
    }
  }

  public let name: String
  public let metric: Metric
  public let prompts: [[Int32]]
  public let answers: [[String]]
  public var count: Int { prompts.count }
  private let maximumTokens: Int
  private let tokenizer: Tokenizer
  private let stops: Set<Int32>

  /// - Parameters:
  ///   - prompts: one token or more each.
  ///   - answers: for each prompt the right answers, any of which will do.
  /// - Throws: `ObjectivesError.noExamples`.
  public init(
    prompts: [[Int32]], answers: [[String]], metric: Metric, maximumTokens: Int = 50,
    stops: Set<Int32> = [], tokenizer: Tokenizer, source: String
  ) throws(ObjectivesError) {
    precondition(prompts.count == answers.count, "answers for every prompt")
    guard !prompts.isEmpty else { throw .noExamples(source: source) }
    name = "answers-" + metric.rawValue
    self.metric = metric
    self.prompts = prompts
    self.answers = answers
    self.maximumTokens = maximumTokens
    self.stops = stops
    self.tokenizer = tokenizer
  }

  public func sequences(_ examples: [Int]) -> [[Int32]] { examples.map { prompts[$0] } }

  public func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum { try loss(model, examples: examples) }

  public func loss(_ model: LanguageModel, examples: [Int]) throws -> LossSum {
    let written = try model.generate(
      examples.map { prompts[$0] }, maximumTokens: maximumTokens, stops: stops)
    var result = LossSum()
    for (tokens, index) in zip(written, examples) {
      let text = tokenizer.decode(tokens.filter { !stops.contains($0) }[...])
      let best = answers[index].map { metric.value(text, $0) }.max() ?? 0
      result.sum += 1 - best
      result.count += 1
      result.cases += 1
      if best >= 1 { result.hits += 1 }
    }
    return result
  }
}

/// Metrics of written answers, as SQuAD's official script has them.
public enum AnswerMetrics {
  /// Lower case, no punctuation, no articles, words only.
  public static func words(_ text: String) -> [String] {
    let kept = text.lowercased().unicodeScalars.filter { !punctuation.contains($0) }
    return String(String.UnicodeScalarView(kept)).split(whereSeparator: \.isWhitespace)
      .map(String.init).filter { !["a", "an", "the"].contains($0) }
  }

  private static let punctuation = Set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".unicodeScalars)

  /// The harmonic mean of precision and recall over words with their repeats; 0 without overlap,
  /// and 1 or 0 by equality where either side has no words.
  public static func f1(_ answer: String, _ right: String) -> Double {
    let (given, wanted) = (words(answer), words(right))
    guard !given.isEmpty, !wanted.isEmpty else { return given == wanted ? 1 : 0 }
    var rest = Dictionary(wanted.map { ($0, 1) }, uniquingKeysWith: +)
    var common = 0
    for word in given where rest[word, default: 0] > 0 {
      rest[word, default: 0] -= 1
      common += 1
    }
    guard common > 0 else { return 0 }
    let precision = Double(common) / Double(given.count)
    let recall = Double(common) / Double(wanted.count)
    return 2 * precision * recall / (precision + recall)
  }

  /// Whether the words are the same.
  public static func isExact(_ answer: String, _ right: String) -> Bool {
    words(answer) == words(right)
  }
}
