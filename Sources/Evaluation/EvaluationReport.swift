import Foundation
import JSONText
import Models

/// The result of an evaluation on windows, with what one must know to compare it with others.
public struct EvaluationReport: Sendable, Hashable {
  public var model: ModelSummary
  public var reference: ModelSummary?
  public var data: DataSummary
  public var perplexity: Perplexity
  public var divergence: Divergence?
  public var seconds: Double
  public var bootstrapReplicates: Int?

  public init(
    model: ModelSummary, reference: ModelSummary?, data: DataSummary, scores: TokenScores,
    seed: UInt64 = 0, seconds: Double
  ) {
    self.model = model
    self.reference = reference
    self.data = data
    self.seconds = seconds
    perplexity = Perplexity(scores)
    guard scores.hasReference else { return }
    let bootstrap = Bootstrap(windows: scores.windows, seed: seed)
    bootstrapReplicates = bootstrap.replicates
    divergence = Divergence(scores, bootstrap: bootstrap)
  }
}

/// A model in a report.
public struct ModelSummary: Sendable, Hashable {
  public var path: String
  public var storedBytes: Int
  public var bitsPerParameter: Double
  public var compressedBitsPerWeight: Double?
  /// How inputs of linear layers are rounded, in words; nil: not at all.
  public var activations: String?
  /// How keys and values are kept, in words; nil: exactly.
  public var keyValueCache: String?

  public init(
    path: String, storedBytes: Int, bitsPerParameter: Double, compressedBitsPerWeight: Double?
  ) {
    self.path = path
    self.storedBytes = storedBytes
    self.bitsPerParameter = bitsPerParameter
    self.compressedBitsPerWeight = compressedBitsPerWeight
  }

  public init(_ model: OpenedModel) {
    path = model.path
    storedBytes = model.storedBytes
    bitsPerParameter = Double(model.storedBytes) * 8 / Double(max(model.parameterCount, 1))
    compressedBitsPerWeight = model.compressedBitsPerWeight
    let counts = model.activationCounts
    if !counts.isEmpty {
      let all = model.description.blocks.flatMap(\.linears).count
      activations =
        counts.map { "\($0.scheme) (\($0.layers) of \(all) linear layers)" }
        .joined(separator: ", ")
    }
    keyValueCache = model.weights.keyValueScheme?.name ?? model.weights.keyValueScales?.name
  }

  public var json: JSONValue {
    var object = JSONObject()
    object["path"] = .init(path)
    object["stored_bytes"] = .init(storedBytes)
    object["bits_per_parameter"] = .init(bitsPerParameter)
    object["compressed_bits_per_weight"] = compressedBitsPerWeight.map { .init($0) } ?? .null
    if let activations { object["activations"] = .init(activations) }
    if let keyValueCache { object["kv_cache"] = .init(keyValueCache) }
    return .object(object)
  }
}

/// Text and windows in a report.
public struct DataSummary: Sendable, Hashable {
  public var windows: EvaluationWindows
  /// Where the tokenizer came from; nil for windows of a token file.
  public var tokenizer: String?

  public init(_ windows: EvaluationWindows, tokenizer: String?) {
    self.windows = windows
    self.tokenizer = tokenizer
  }

  /// The protocol in words.
  public var sentences: [String] {
    let cut =
      windows.areGiven
      ? "\(windows.windows.count) windows as the file has them, up to \(windows.length) tokens"
      : "\(windows.windows.count) consecutive windows of \(windows.length) tokens, "
        + (windows.stride.map { "stride \($0)" } ?? "no overlap")
    let beginning =
      windows.beginning.map { "token \($0) before every window, all of the text's tokens scored" }
      ?? "no special tokens added, the first token of a window unscored"
    return [
      "tokenizer: \(tokenizer ?? "none, the file holds token ids")",
      "windows: \(cut); \(beginning)",
      "tokens scored: \(windows.scoredCount)",
    ]
  }

  public var json: JSONValue {
    var object = JSONObject()
    object["source"] = .init(windows.source)
    object["tokenizer"] = tokenizer.map { .init($0) } ?? .null
    object["windows"] = .init(windows.windows.count)
    object["length"] = .init(windows.length)
    object["stride"] = windows.stride.map { .init($0) } ?? .null
    object["beginning_token"] = windows.beginning.map { .init(Int($0)) } ?? .null
    object["given_windows"] = .init(windows.areGiven)
    object["tokens_scored"] = .init(windows.scoredCount)
    return .object(object)
  }
}

extension Estimate {
  public var json: JSONValue {
    ["value": .init(value), "standard_error": .init(standardError)]
  }
}

extension Perplexity {
  public var json: JSONValue {
    [
      "perplexity": estimate.json, "negative_log_likelihood": negativeLogLikelihood.json,
      "windows": .init(windows), "tokens": .init(tokens),
    ]
  }
}

extension Divergence {
  public var json: JSONValue {
    var object = JSONObject()
    object["kl_mean"] = mean.json
    object["kl_median"] = median.json
    object["kl_p90"] = percentile90.json
    object["kl_p99"] = percentile99.json
    object["kl_max"] = maximum.json
    if let savedTokens {
      object["kl_is_lower_bound"] = true
      object["kl_saved_top_k"] = .init(savedTokens)
    }
    object["log_probability_change"] = logProbabilityChange.json
    object["perplexity_ratio"] = perplexityRatio.json
    object["top1_agreement"] = agreement.json
    object["reference"] = reference.json
    return .object(object)
  }
}

extension EvaluationReport {
  public var json: JSONValue {
    var object = JSONObject()
    object["model"] = model.json
    if let reference { object["reference"] = reference.json }
    object["data"] = data.json
    object["result"] = perplexity.json
    if let divergence { object["divergence"] = divergence.json }
    if let bootstrapReplicates { object["bootstrap_replicates"] = .init(bootstrapReplicates) }
    object["seconds"] = .init(seconds)
    object["tokens_per_second"] = .init(Double(perplexity.tokens) / max(seconds, 1e-9))
    return .object(object)
  }
}
