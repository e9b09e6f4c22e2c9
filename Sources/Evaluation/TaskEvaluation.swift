import Models
import Tensors
import Text

/// Classification and multiple choice: the option that the model finds the most likely.
public struct TaskEvaluation: Sendable {
  /// How records become prompts.
  public struct Settings: Sendable, Hashable {
    public var beginning: Int32?
    public var maximumTextTokens: Int?
    public var labelField: String
    /// Worked examples before every prompt, each prompt with its own choice.
    public var shots: Int
    public var seed: UInt64

    public init(
      beginning: Int32? = nil, maximumTextTokens: Int? = nil, labelField: String = "label",
      shots: Int = 0, seed: UInt64 = 0
    ) {
      self.beginning = beginning
      self.maximumTextTokens = maximumTextTokens
      self.labelField = labelField
      self.shots = shots
      self.seed = seed
    }
  }

  public let template: Template
  public let settings: Settings
  /// Prompts with their options, each with a label.
  public let items: [ScoringItem]
  /// The file of the records.
  public let source: String

  /// Tokens that go through the model at once.
  static let batchRows = 4096

  /// - Throws: `TextError` for records without the template's fields or a valid label.
  public init(
    records: [TextRecord], template: Template, tokenizer: Tokenizer, settings: Settings,
    examples: [TextRecord] = []
  ) throws {
    self.template = template
    self.settings = settings
    source = records.first?.source ?? ""
    items = try records.enumerated().map { index, record in
      let prefix =
        settings.shots == 0
        ? ""
        : try template.prefix(
          examples: examples, count: settings.shots, seed: settings.seed, prompt: index,
          labelField: settings.labelField)
      return try template.items(
        record, with: tokenizer,
        ScoringOptions(
          beginning: settings.beginning, maximumTextTokens: settings.maximumTextTokens,
          prefix: prefix, labelField: settings.labelField))
    }
  }

  /// Scores every option of every record.
  ///
  /// - Parameter progress: told how many records are done.
  public func run(_ model: LanguageModel, progress: (Int) -> Void = { _ in }) throws -> TaskResult {
    var likelihoods: [[Double]] = []
    likelihoods.reserveCapacity(items.count)
    var first = 0
    while first < items.count {
      var (last, rows) = (first, 0)
      while last < items.count, last == first || rows < Self.batchRows {
        rows += items[last].sequences.reduce(0) { $0 + $1.count }
        last += 1
      }
      likelihoods += try score(items[first..<last], model)
      first = last
      progress(last)
    }
    return TaskResult(self, likelihoods: likelihoods)
  }

  /// Per item and option, Σ log p of the option's tokens.
  ///
  /// Options of one token each after the same prompt are read from one row of logits.
  private func score(
    _ items: ArraySlice<ScoringItem>, _ model: LanguageModel
  ) throws -> [[Double]] {
    var batch = OptionBatch()
    for item in items { batch.add(item) }
    return try batch.score(model)
  }
}

/// Sequences of some items on their way through the model.
private struct OptionBatch {
  private enum Place {
    /// Options are tokens of the logits after a sequence's last token.
    case shared(sequence: Int, options: [Int32])
    /// Options are sequences of their own, each with its first option token's position.
    case separate([(sequence: Int, start: Int)])
  }
  private var sequences: [[Int32]] = []
  private var places: [Place] = []

  mutating func add(_ item: ScoringItem) {
    let prompt = item.sequences.first?.dropLast()
    let isShared = item.sequences.indices.allSatisfy {
      item.sequences[$0].dropLast() == prompt
        && item.optionStarts[$0] == item.sequences[$0].count - 1
    }
    if isShared, let prompt {
      places.append(
        .shared(sequence: sequences.count, options: item.sequences.compactMap(\.last)))
      sequences.append(Array(prompt))
    } else {
      places.append(
        .separate(
          item.sequences.indices.map { (sequences.count + $0, item.optionStarts[$0]) }))
      sequences += item.sequences
    }
  }

  func score(_ model: LanguageModel) throws -> [[Double]] {
    let batch = TokenBatch(sequences)
    let hidden = try model.hiddenStates(of: batch)
    var result: [[Double]] = Array(repeating: [], count: places.count)
    try scoreShared(model, batch, hidden, into: &result)
    try scoreSeparate(model, batch, hidden, into: &result)
    return result
  }

  private func scoreShared(
    _ model: LanguageModel, _ batch: TokenBatch, _ hidden: Matrix<Float>,
    into result: inout [[Double]]
  ) throws {
    var rows: [Int] = []
    var wanted: [(place: Int, token: Int32)] = []
    for (index, place) in places.enumerated() {
      guard case .shared(let sequence, let options) = place else { continue }
      for option in options {
        rows.append(batch.rows(of: sequence).upperBound - 1)
        wanted.append((index, option))
      }
    }
    let scores = try model.scores(of: hidden.rows(at: rows), targets: wanted.map(\.token))
    for (want, score) in zip(wanted, scores) {
      result[want.place].append(-(score?.negativeLogLikelihood ?? .nan))
    }
  }

  private func scoreSeparate(
    _ model: LanguageModel, _ batch: TokenBatch, _ hidden: Matrix<Float>,
    into result: inout [[Double]]
  ) throws {
    var targets = Array(repeating: Int32(-1), count: batch.rows)
    for case .separate(let options) in places {
      for option in options {
        let rows = batch.rows(of: option.sequence)
        for position in option.start..<rows.count {
          targets[rows.lowerBound + position - 1] = batch.tokens[rows.lowerBound + position]
        }
      }
    }
    guard targets.contains(where: { $0 >= 0 }) else { return }
    let scores = try model.scores(of: hidden, targets: targets, batch: batch)
    for (index, place) in places.enumerated() {
      guard case .separate(let options) = place else { continue }
      result[index] = options.map { option in
        batch.rows(of: option.sequence).reduce(0) {
          $0 - (scores[$1]?.negativeLogLikelihood ?? 0)
        }
      }
    }
  }
}

extension Matrix where Element == Float {
  /// A copy of the rows of some numbers, in their order.
  fileprivate func rows(at numbers: [Int]) -> Matrix {
    var values: [Float] = []
    values.reserveCapacity(numbers.count * columns)
    for number in numbers { values += self.values[range(ofRow: number)] }
    return Matrix(rows: numbers.count, columns: columns, values: values)
  }
}
