import RunRecords

/// What a plan looks like in a terminal.
public enum PlanReport {
  public static func text(_ record: RunRecord, width: Int = 80) -> String {
    var table = TextTable(
      [("tensor", .left), ("shape", .left), ("becomes", .left), ("size", .right)], flexible: 0)
    let names = CommonAffixes(record.tensors.map(\.name))
    var reasons = Reasons()
    for tensor in record.tensors {
      let type =
        tensor.compressed ? "\(tensor.sourceType) → \(tensor.storedType)" : tensor.storedType
      let why = tensor.compressed ? tensor.notes : [tensor.reason]
      table.add([
        names.inner(of: tensor.name),
        tensor.shape.isEmpty ? "scalar" : tensor.shape.map(String.init).joined(separator: "×"),
        type + reasons.mark(of: why.joined(separator: "; ")), Format.bytes(tensor.storedBytes),
      ])
    }
    var text = "recipe \(record.recipeName ?? "") for \(record.model)"
    text += record.modelFormat.map { " (\($0))\n\n" } ?? "\n\n"
    text += names.sentence.map { $0 + "\n" } ?? ""
    text += table.text(width: width)
    if !reasons.texts.isEmpty { text += "\n" }
    for (index, reason) in reasons.texts.enumerated() { text += "[\(index + 1)] \(reason)\n" }
    return text + totals(record)
  }

  private static func totals(_ record: RunRecord) -> String {
    let totals = record.totals
    var text =
      "\n\(record.tensors.filter(\.compressed).count) of \(record.tensors.count) tensors will be "
      + "compressed, \(Format.fixed(totals.compressedBitsPerWeight, 3)) bits per weight\n"
    text +=
      "size:    \(Format.bytes(totals.sourceBytes)) → \(Format.bytes(totals.storedBytes)), "
      + "\(Format.fixed(totals.ratio, 2)) times smaller\n"
    if let cache = record.keyValueCache {
      text += "cache:   \(cache.scheme)\n"
      text += cache.size.map { "         \($0.sentence)\n" } ?? ""
    }
    if let forecast = record.forecast {
      text += "memory:  at most \(Format.bytes(forecast.peakBytes))"
      text += record.memoryLimit.map { " (limit \(Format.bytes($0)))\n" } ?? "\n"
      text += "disk:    \(Format.bytes(forecast.diskBytes)) while it runs\n"
      text += "time:    about \(Format.duration(forecast.seconds)) with \(record.workers ?? 1) "
      text += "worker\(record.workers == 1 ? "" : "s")\n"
    }
    for warning in record.warnings { text += "warning: \(warning)\n" }
    return text
  }

  /// Why tensors become what they become: said once below the table, named there by a number, as
  /// whole sentences would not fit beside the names.
  private struct Reasons {
    private(set) var texts: [String] = []

    mutating func mark(of text: String) -> String {
      guard !text.isEmpty else { return "" }
      let index = texts.firstIndex(of: text) ?? texts.count
      if index == texts.count { texts.append(text) }
      return " [\(index + 1)]"
    }
  }
}
