import JSONText
import Text

/// What a model chose.
public struct TaskResult: Sendable, Hashable {
  public let source: String
  public let template: String
  public let settings: TaskEvaluation.Settings
  /// Per record and option, Σ log p of the option's tokens.
  public let likelihoods: [[Double]]
  /// Right options.
  public let labels: [Int]
  /// By the sum over the option's tokens.
  public let accuracy: Proportion
  /// By the mean over the option's tokens.
  public let normalizedAccuracy: Proportion
  /// Of always choosing the commonest label: what any model must beat.
  public let commonestLabel: Proportion
  /// With two options.
  public let binary: BinaryStatistics?

  init(_ evaluation: TaskEvaluation, likelihoods: [[Double]]) {
    source = evaluation.source
    template = evaluation.template.source
    settings = evaluation.settings
    self.likelihoods = likelihoods
    let labels = evaluation.items.map { $0.label ?? 0 }
    self.labels = labels
    let means = zip(evaluation.items, likelihoods).map { item, sums in
      sums.indices.map { sums[$0] / Double(item.option($0).count) }
    }
    accuracy = Self.accuracy(likelihoods, labels)
    normalizedAccuracy = Self.accuracy(means, labels)
    let options = evaluation.template.options.count
    let counts = (0..<options).map { option in labels.count { $0 == option } }
    commonestLabel = Proportion(hits: counts.max() ?? 0, count: labels.count)
    binary =
      options == 2
      ? BinaryStatistics(margins: likelihoods.map { $0[1] - $0[0] }, labels: labels) : nil
  }

  /// How often the best option is the right one; the first among equals is chosen.
  private static func accuracy(_ scores: [[Double]], _ labels: [Int]) -> Proportion {
    let hits = zip(scores, labels).count { scores, label in
      scores.firstIndex(of: scores.max() ?? .nan) == label
    }
    return Proportion(hits: hits, count: labels.count)
  }

  /// The protocol in words.
  public var sentences: [String] {
    [
      "template: \(template)",
      "records: \(labels.count); \(settings.shots) examples before each prompt; "
        + (settings.beginning.map { "token \($0) first" } ?? "no special tokens added")
        + (settings.maximumTextTokens.map { "; text cut to \($0) tokens" } ?? ""),
    ]
  }

  public var json: JSONValue {
    var object = JSONObject()
    object["source"] = .init(source)
    object["template"] = .init(template)
    object["records"] = .init(labels.count)
    object["shots"] = .init(settings.shots)
    object["beginning_token"] = settings.beginning.map { .init(Int($0)) } ?? .null
    object["max_text_tokens"] = settings.maximumTextTokens.map { .init($0) } ?? .null
    object["accuracy"] = accuracy.json
    object["accuracy_per_token"] = normalizedAccuracy.json
    object["commonest_label"] = commonestLabel.json
    if let binary {
      object["area_under_curve"] = .init(binary.areaUnderCurve)
      object["accuracy_median_threshold"] = binary.medianThresholdAccuracy.json
    }
    return .object(object)
  }
}
