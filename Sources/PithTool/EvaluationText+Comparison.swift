import Pith

extension EvaluationText {
  /// A line a model, and below it the differences to the first.
  static func comparison(_ result: PairedComparison, width: Int) -> String {
    var text =
      (["reference: \(summary(result.reference))", "data: \(result.data.windows.source)"]
      + result.data.sentences
      + [line("reference's perplexity", result.referencePerplexity.estimate, 2), ""])
      .joined(separator: "\n") + "\n"
    var table = TextTable(
      [
        ("model", .left), ("bytes", .right), ("bits", .right), ("perplexity", .right),
        ("KL mean", .right), ("KL p99", .right), ("top-1", .right),
      ], flexible: 0)
    for row in result.rows {
      table.add([
        row.model.path, Format.bytes(row.model.storedBytes),
        Format.fixed(row.model.compressedBitsPerWeight ?? row.model.bitsPerParameter, 2),
        Format.fixed(row.perplexity.value, 2), Format.fixed(row.divergence.mean.value, 5),
        Format.fixed(row.divergence.percentile99.value, 4),
        Format.fixed(row.divergence.agreement.value, 4),
      ])
    }
    text += table.text(width: width)
    if let count = result.rows.first?.divergence.savedTokens { text += lowerBound(count) + "\n" }
    text += "\nless the first model, paired, 95 % intervals:\n"
    var differences = TextTable(
      [
        ("model", .left), ("-log p, nats", .right), ("KL mean", .right), ("top-1", .right),
      ], flexible: 0)
    for row in result.rows {
      guard let found = row.differences else { continue }
      differences.add([
        row.model.path, cell(found.negativeLogLikelihood), cell(found.divergence),
        cell(found.agreement),
      ])
    }
    return text + differences.text(width: max(width, 100))
      + "bits: stored bits per compressed weight (per parameter where nothing is compressed)\n"
  }

  private static func cell(_ difference: PairedComparison.Difference) -> String {
    "\(signed(difference.value)) [\(signed(difference.interval.lowerBound)), "
      + "\(signed(difference.interval.upperBound))]"
  }

  private static func signed(_ value: Double) -> String {
    (value >= 0 ? "+" : "") + Format.fixed(value, 4)
  }
}
