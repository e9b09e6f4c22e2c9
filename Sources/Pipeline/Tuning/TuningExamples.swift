import Architectures
import Evaluation
import Models
import Objectives
import Tensors
import Text

/// Turns a request's files into objectives, to learn from and held out.
struct TuningExamples {
  let request: TuningRequest
  let model: LanguageModel
  let opened: OpenedModel
  private(set) var warnings: [String] = []
  private var teacher: LanguageModel?
  private var loaded: Tokenizer?

  init(_ request: TuningRequest, model: LanguageModel, opened: OpenedModel) {
    self.request = request
    self.model = model
    self.opened = opened
  }

  /// The goal, where the request leaves it open.
  var goal: TuningRequest.Goal {
    request.goal
      ?? (request.template != nil ? .options : request.teacher != nil ? .kl : .lm)
  }

  /// - Throws: `TextError`, `EvaluationError`, `ObjectivesError`, `PipelineError`.
  mutating func objectives() throws -> (train: any Objective, heldOut: any Objective) {
    let goals = [(goal: goal, weight: 1.0)] + request.mixed
    var (train, heldOut): ([(any Objective, Double)], [(any Objective, Double)]) = ([], [])
    for (goal, weight) in goals {
      let pair = try pair(goal)
      train.append((pair.train, weight))
      heldOut.append((pair.heldOut, weight))
    }
    if train.count == 1 { return (train[0].0, heldOut[0].0) }
    return (
      try Mixture(train.map { (objective: $0.0, weight: $0.1) }),
      try Mixture(heldOut.map { (objective: $0.0, weight: $0.1) })
    )
  }

  private mutating func pair(
    _ goal: TuningRequest.Goal
  ) throws -> (train: any Objective, heldOut: any Objective) {
    switch goal {
    case .kl, .lm:
      let (train, heldOut) = try windows()
      warnAboutOverlap(train, heldOut)
      let source = request.heldOut ?? request.data
      guard goal == .kl else {
        return (
          try LanguageModeling(windows: train, source: request.data),
          try LanguageModeling(windows: heldOut, source: source)
        )
      }
      let teacher = try openTeacher()
      return (
        try Distillation(windows: train, source: request.data, teacher: teacher, student: model),
        try Distillation(windows: heldOut, source: source, teacher: teacher, student: model)
      )
    case .options, .optionsKL:
      let (train, heldOut) = try records()
      let (own, other) = (try items(train), try items(heldOut))
      warnAboutOverlap(own.map { $0.sequences[0] }, other.map { $0.sequences[0] })
      return (
        try choice(own, source: request.data, goal),
        try choice(other, source: request.heldOut ?? request.data, goal)
      )
    case .answersF1, .answersAccuracy:
      let (train, heldOut) = try records()
      let metric = goal == .answersF1 ? GeneratedAnswers.Metric.f1 : .accuracy
      return (
        try answers(train, metric, request.data),
        try answers(heldOut, metric, request.heldOut ?? request.data)
      )
    }
  }

  private mutating func choice(
    _ items: [ScoringItem], source: String, _ goal: TuningRequest.Goal
  ) throws -> OptionChoice {
    // Rounded keys and values are rounded by their place in a text of their own.
    let sharesPrompts = opened.weights.keyValueScheme == nil
    guard goal == .optionsKL else {
      return try OptionChoice(items: items, source: source, sharesPrompts: sharesPrompts)
    }
    return try OptionChoice(
      items: items, source: source, teacher: openTeacher(), sharesPrompts: sharesPrompts)
  }

  private mutating func openTeacher() throws -> LanguageModel {
    if let teacher { return teacher }
    guard let path = request.teacher else {
      throw PipelineError.tuning(
        reason: "the objectives 'kl' and 'options-kl' need the original model as --teacher")
    }
    let opened = try OpenedModel.open(path, mapped: request.memoryLimit == nil)
    let loaded = try opened.load(memoryLimit: request.memoryLimit, pool: model.pool)
    teacher = loaded
    return loaded
  }

  private mutating func tokenizer() throws -> Tokenizer {
    if let loaded { return loaded }
    let found = try opened.tokenizer(override: request.tokenizer)
    loaded = found
    return found
  }

  // MARK: Text

  private mutating func windows() throws -> (train: [[Int32]], heldOut: [[Int32]]) {
    let length = request.length ?? min(64, model.description.maximumPositions)
    var all = try cut(request.data, length: length)
    if let path = request.heldOut {
      let others = try cut(path, length: length)
      return (spread(all, request.windows), spread(others, request.heldOutCount))
    }
    let count = min(request.heldOutCount, max(1, all.count / 10))
    guard all.count > count else {
      throw PipelineError.tuning(
        reason: "'\(request.data)' fills \(all.count) windows of \(length) tokens, too few to "
          + "hold some out; give a longer text, or --held-out")
    }
    let heldOut = Array(all.suffix(count))
    all.removeLast(count)
    return (spread(all, request.windows), heldOut)
  }

  private mutating func cut(_ path: String, length: Int) throws -> [[Int32]] {
    let data = try EvaluationData.read(
      path, field: request.field, vocabularySize: model.description.vocabularySize,
      tokenizer: { try tokenizer() })
    var beginning: Int32?
    if request.withBeginning { beginning = try self.beginning() }
    switch data {
    case .windows(let rows, _): return rows
    case .stream(let stream):
      return try Windows.consecutive(stream, length: length, beginning: beginning).map(\.tokens)
    }
  }

  /// So many of a list, evenly over all of it.
  private func spread(_ windows: [[Int32]], _ limit: Int) -> [[Int32]] {
    guard windows.count > limit else { return windows }
    return (0..<limit).map { windows[$0 * windows.count / limit] }
  }

  private mutating func beginning() throws -> Int32 {
    let tokenizer = try tokenizer()
    guard let token = tokenizer.beginning else {
      throw EvaluationError.noBeginning(path: tokenizer.path)
    }
    return token
  }

  // MARK: Records

  private func records() throws -> (train: [TextRecord], heldOut: [TextRecord]) {
    var all = try JSONLines.records(request.data)
    if let path = request.heldOut {
      if let records = request.records { all = Array(all.prefix(records)) }
      return (all, Array(try JSONLines.records(path).prefix(request.heldOutCount)))
    }
    let count = min(request.heldOutCount, max(1, all.count / 10))
    guard all.count > count else {
      throw PipelineError.tuning(
        reason: "'\(request.data)' has \(all.count) records, too few to hold some out; give "
          + "more, or --held-out")
    }
    let heldOut = Array(all.suffix(count))
    all.removeLast(count)
    if let records = request.records { all = Array(all.prefix(records)) }
    return (all, heldOut)
  }

  private mutating func items(_ records: [TextRecord]) throws -> [ScoringItem] {
    guard let source = request.template else {
      throw PipelineError.tuning(
        reason: "the objective 'options' needs a --template such as '{text} It was{ bad| good}'")
    }
    let tokenizer = try tokenizer()
    let options = ScoringOptions(
      beginning: request.withBeginning ? try beginning() : nil,
      maximumTextTokens: request.maximumTextTokens, labelField: request.labelField)
    if let field = request.choicesField {
      return try records.map { try choices($0, field: field, prompt: source, tokenizer, options) }
    }
    let template = try Template(source)
    return try records.map { try template.items($0, with: tokenizer, options) }
  }

  /// Multiple choice: the options are the record's own, a list in one of its fields.
  private func choices(
    _ record: TextRecord, field: String, prompt: String, _ tokenizer: Tokenizer,
    _ options: ScoringOptions
  ) throws -> ScoringItem {
    let texts = record.fields[field]?.array?.compactMap(\.string) ?? []
    guard texts.count > 1, record.fields[field]?.array?.count == texts.count else {
      throw PipelineError.tuning(
        reason: "\(record.source):\(record.line): '\(field)' is no list of two texts or more")
    }
    let escaped = texts.map {
      $0.replacing("{", with: "(").replacing("}", with: ")").replacing("|", with: "/")
    }
    return try Template(prompt + "{" + escaped.joined(separator: "|") + "}")
      .items(record, with: tokenizer, options)
  }

  private mutating func answers(
    _ records: [TextRecord], _ metric: GeneratedAnswers.Metric, _ source: String
  ) throws -> GeneratedAnswers {
    guard let prompt = request.template else {
      throw PipelineError.tuning(
        reason: "written answers need a --template such as 'Question: {question}\\nAnswer:'")
    }
    let tokenizer = try tokenizer()
    let first = request.withBeginning ? [try beginning()] : []
    // A list of options makes it a template; only its prompt is used.
    let template = try Template(prompt + "{0|1}")
    var (prompts, answers): ([[Int32]], [[String]]) = ([], [])
    for record in records {
      prompts.append(first + (try tokenizer.encode(template.render(record).prompt)))
      if let list = record.fields[request.answerField]?.array {
        answers.append(list.compactMap(\.string))
      } else {
        answers.append([try record.text(request.answerField)])
      }
    }
    return try GeneratedAnswers(
      prompts: prompts, answers: answers, metric: metric, tokenizer: tokenizer, source: source)
  }

  private mutating func warnAboutOverlap(_ train: [[Int32]], _ heldOut: [[Int32]]) {
    let known = Set(train)
    let count = heldOut.count { known.contains($0) }
    guard count > 0 else { return }
    warnings.append(
      "\(count) of \(heldOut.count) held-out examples are among those learnt from: what is "
        + "reported of them says little; take them out of one of the two")
  }
}
