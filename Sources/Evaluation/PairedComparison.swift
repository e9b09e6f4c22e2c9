import Foundation
import JSONText

/// Two or more models against one reference on the same windows.
public struct PairedComparison: Sendable, Hashable {
  /// A value with its 95 % bootstrap interval.
  public struct Difference: Sendable, Hashable {
    public let value: Double
    public let interval: ClosedRange<Double>

    /// Whether the interval lies on one side of 0.
    public var isClear: Bool { interval.lowerBound > 0 || interval.upperBound < 0 }
  }

  /// One model.
  public struct Row: Sendable, Hashable {
    public var model: ModelSummary
    public var perplexity: Estimate
    public var divergence: Divergence
    /// Less the first model's; nil for the first itself.
    public var differences: Differences?
  }

  /// A model's figures less the first model's, token for token the same text.
  public struct Differences: Sendable, Hashable {
    public var negativeLogLikelihood: Difference
    public var divergence: Difference
    public var agreement: Difference
  }

  public let reference: ModelSummary
  public let referencePerplexity: Perplexity
  public let data: DataSummary
  public let rows: [Row]
  public let replicates: Int

  /// - Parameter scores: of every model on the same windows, with the reference.
  /// - Throws: `EvaluationError.tooFewModels`.
  public init(
    models: [ModelSummary], reference: ModelSummary, data: DataSummary, scores: [TokenScores],
    seed: UInt64 = 0
  ) throws(EvaluationError) {
    guard let first = scores.first, scores.count > 1 else { throw .tooFewModels(scores.count) }
    let bootstrap = Bootstrap(windows: first.windows, seed: seed)
    replicates = bootstrap.replicates
    self.reference = reference
    self.data = data
    referencePerplexity = Perplexity(first, values: first.referenceNegativeLogLikelihoods)
    rows = scores.indices.map { index in
      Row(
        model: models[index], perplexity: Perplexity(scores[index]).estimate,
        divergence: Divergence(scores[index], bootstrap: bootstrap),
        differences: index == 0 ? nil : Differences(scores[index], less: first, bootstrap))
    }
  }
}

extension PairedComparison.Differences {
  fileprivate init(_ scores: TokenScores, less first: TokenScores, _ bootstrap: Bootstrap) {
    func difference(_ left: [Double], _ right: [Double]) -> PairedComparison.Difference {
      let sums = scores.sums(zip(left, right).map { $0 - $1 })
      let counts = scores.counts
      return PairedComparison.Difference(
        value: sums.reduce(0, +) / counts.reduce(0, +),
        interval: Bootstrap.interval(bootstrap.ratios(sums: sums, counts: counts)))
    }
    negativeLogLikelihood = difference(
      scores.negativeLogLikelihoods, first.negativeLogLikelihoods)
    divergence = difference(scores.divergences, first.divergences)
    agreement = difference(
      scores.agreements.map { $0 ? 1 : 0 }, first.agreements.map { $0 ? 1 : 0 })
  }
}

extension PairedComparison.Difference {
  var json: JSONValue {
    [
      "value": .init(value), "low": .init(interval.lowerBound),
      "high": .init(interval.upperBound),
    ]
  }
}

extension PairedComparison {
  public var json: JSONValue {
    var object = JSONObject()
    object["reference"] = reference.json
    object["reference_result"] = referencePerplexity.json
    object["data"] = data.json
    object["bootstrap_replicates"] = .init(replicates)
    object["models"] = .array(
      rows.map { row in
        var entry = JSONObject()
        entry["model"] = row.model.json
        entry["perplexity"] = row.perplexity.json
        entry["divergence"] = row.divergence.json
        if let differences = row.differences {
          entry["less_first"] = [
            "negative_log_likelihood": differences.negativeLogLikelihood.json,
            "kl_mean": differences.divergence.json,
            "top1_agreement": differences.agreement.json,
          ]
        }
        return .object(entry)
      })
    return .object(object)
  }

  /// One line a model, for other programs' tables.
  public var csv: String {
    var lines = [
      "path,stored_bytes,bits_per_parameter,compressed_bits_per_weight,perplexity,"
        + "perplexity_se,perplexity_ratio,kl_mean,kl_mean_se,kl_median,kl_p90,kl_p99,kl_max,"
        + "top1_agreement,top1_agreement_se,nll_less_first,nll_less_first_low,"
        + "nll_less_first_high,kl_less_first,kl_less_first_low,kl_less_first_high"
    ]
    for row in rows {
      let (d, m) = (row.divergence, row.model)
      var numbers: [Double?] = [
        m.bitsPerParameter, m.compressedBitsPerWeight, row.perplexity.value,
        row.perplexity.standardError, d.perplexityRatio.value, d.mean.value,
        d.mean.standardError, d.median.value, d.percentile90.value, d.percentile99.value,
        d.maximum.value, d.agreement.value, d.agreement.standardError,
      ]
      for difference in [row.differences?.negativeLogLikelihood, row.differences?.divergence] {
        numbers += [
          difference?.value, difference?.interval.lowerBound, difference?.interval.upperBound,
        ]
      }
      let cells =
        [Self.quoted(m.path), String(m.storedBytes)] + numbers.map { $0.map { "\($0)" } ?? "" }
      lines.append(cells.joined(separator: ","))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { ",\"\n".contains($0) }) else { return text }
    return "\""
      + text.split(separator: "\"", omittingEmptySubsequences: false)
      .joined(separator: "\"\"") + "\""
  }
}
