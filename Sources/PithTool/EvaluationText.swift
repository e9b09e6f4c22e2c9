import Pith

/// Evaluations as text for people.
enum EvaluationText {
  static func report(_ report: EvaluationReport) -> String {
    var lines = ["model: \(summary(report.model))"] + rounding(report.model)
    if let reference = report.reference { lines.append("reference: \(summary(reference))") }
    lines.append("data: \(report.data.windows.source)")
    lines += report.data.sentences
    lines.append("")
    let perplexity = report.perplexity
    lines.append(line("perplexity", perplexity.estimate, 2))
    lines.append(line("mean -log p, nats", perplexity.negativeLogLikelihood, 5))
    if let divergence = report.divergence {
      lines.append(line("reference's perplexity", divergence.reference.estimate, 2))
      lines.append(line("perplexity ratio", divergence.perplexityRatio, 4))
      lines.append(line("change in log p, nats", divergence.logProbabilityChange, 5))
      lines.append(line("KL(reference || model), mean", divergence.mean, 5))
      lines.append(line("  median", divergence.median, 5))
      lines.append(line("  90th percentile", divergence.percentile90, 5))
      lines.append(line("  99th percentile", divergence.percentile99, 5))
      lines.append(line("  maximum", divergence.maximum, 4))
      if let count = divergence.savedTokens {
        lines.append("  " + lowerBound(count))
      }
      lines.append(line("top-1 agreement", divergence.agreement, 4))
      lines.append(
        "standard errors: bootstrap over windows, \(report.bootstrapReplicates ?? 0) resamples "
          + "(perplexities: over windows)")
    } else {
      lines.append("standard errors over windows")
    }
    let rate = Double(perplexity.tokens) / max(report.seconds, 1e-9)
    lines.append(
      "time: \(Format.duration(report.seconds)), \(Format.count(Int(rate))) tokens/s")
    return lines.joined(separator: "\n") + "\n"
  }

  /// What a divergence from so many saved tokens of a position is.
  static func lowerBound(_ count: Int) -> String {
    "a lower bound: over the reference's \(count) saved tokens and one bucket of the rest"
  }

  static func task(_ result: TaskResult, model: ModelSummary) -> String {
    var lines = ["model: \(summary(model))"] + rounding(model) + ["data: \(result.source)"]
    lines += result.sentences
    lines.append("")
    func accuracy(_ name: String, _ value: Proportion) {
      let interval = value.interval
      lines.append(
        padded(name)
          + "\(Format.fixed(value.value, 4))  [\(Format.fixed(interval.lowerBound, 4)), "
          + "\(Format.fixed(interval.upperBound, 4))]")
    }
    accuracy("accuracy", result.accuracy)
    accuracy("accuracy, per token", result.normalizedAccuracy)
    if let binary = result.binary {
      lines.append(padded("area under the curve") + Format.fixed(binary.areaUnderCurve, 4))
      accuracy("accuracy, median threshold", binary.medianThresholdAccuracy)
    }
    accuracy("always the commonest label", result.commonestLabel)
    lines.append("intervals: Wilson, 95 %")
    return lines.joined(separator: "\n") + "\n"
  }

  /// What is rounded while the model runs.
  static func rounding(_ model: ModelSummary) -> [String] {
    [
      model.activations.map { "activations: \($0)" },
      model.keyValueCache.map { "key-value cache: \($0)" },
    ].compactMap { $0 }
  }

  static func summary(_ model: ModelSummary) -> String {
    var text = "\(model.path) (\(Format.bytes(model.storedBytes)), "
    if let bits = model.compressedBitsPerWeight {
      text += "\(Format.fixed(bits, 2)) bits per compressed weight, "
    }
    return text + "\(Format.fixed(model.bitsPerParameter, 2)) bits per parameter)"
  }

  static func line(_ name: String, _ estimate: Estimate, _ decimals: Int) -> String {
    padded(name) + "\(Format.fixed(estimate.value, decimals))"
      + " ± \(Format.fixed(estimate.standardError, decimals))"
  }

  private static func padded(_ name: String) -> String {
    name + String(repeating: " ", count: max(1, 30 - name.count))
  }
}
