import RunRecords

/// What a run looks like in a terminal or a log.
public enum TerminalReport {
  /// One tensor's line while compressing: index, name, shape, type → type, size → size, error.
  public static func line(_ tensor: TensorRecord, of total: Int) -> String {
    let digits = String(total).count
    let number = String(tensor.index + 1)
    let index = String(repeating: " ", count: max(0, digits - number.count)) + number
    let shape =
      tensor.shape.isEmpty ? "scalar" : tensor.shape.map(String.init).joined(separator: "×")
    var line = "[\(index)/\(total)] \(tensor.name)  \(shape)  "
    if tensor.compressed {
      line += "\(tensor.sourceType) → \(tensor.storedType)  "
      line += "\(Format.bytes(tensor.sourceBytes)) → \(Format.bytes(tensor.storedBytes))"
    } else {
      line += "\(tensor.storedType)  \(Format.bytes(tensor.storedBytes))  (\(tensor.reason))"
    }
    if let error = tensor.error {
      line += "  error \(Format.significant(error.relativeFrobenius, 3))"
    }
    for note in tensor.notes { line += "; \(note)" }
    return line
  }

  /// The closing lines of a compression.
  public static func summary(_ record: RunRecord) -> String {
    let totals = record.totals
    var lines: [String] = []
    let compressed = record.tensors.filter(\.compressed).count
    lines.append(
      "\(compressed) of \(record.tensors.count) tensors compressed, "
        + "\(Format.fixed(totals.compressedBitsPerWeight, 3)) bits per weight "
        + "(whole file: \(Format.fixed(totals.fileBitsPerWeight, 3)))")
    lines.append(
      "\(Format.bytes(totals.sourceBytes)) → \(Format.bytes(totals.fileBytes ?? totals.storedBytes)), "
        + "\(Format.fixed(totals.ratio, 2)) times smaller")
    if let seconds = record.seconds {
      let rate = seconds > 0 ? Double(totals.sourceBytes) / seconds / Double(1 << 20) : 0
      var line = "\(Format.duration(seconds)), \(Format.fixed(rate, 0)) MiB/s"
      if let peak = record.peakResidentBytes { line += ", peak memory \(Format.bytes(peak))" }
      lines.append(line)
    }
    if let output = record.output { lines.append("written: \(output)") }
    return lines.joined(separator: "\n")
  }

  /// The table of errors that `validate` prints, worst first, in 80 columns.
  public static func errors(_ record: RunRecord, width: Int = 80, limit: Int? = nil) -> String {
    // Where the inputs are known, what happens to the outputs says more than the cosine.
    let hasOutputs = record.tensors.contains { $0.error?.outputRelative != nil }
    var table = TextTable(
      [
        ("tensor", .left), ("stored", .left), ("bits", .right), ("rel. error", .right),
        ("SNR dB", .right), ("max |Δ|", .right), (hasOutputs ? "output error" : "cosine", .right),
      ], flexible: 0)
    let sorted = record.tensors.filter { $0.error != nil }.sorted { left, right in
      let leftError = left.error?.relativeFrobenius ?? 0
      let rightError = right.error?.relativeFrobenius ?? 0
      return leftError != rightError ? leftError > rightError : left.index < right.index
    }
    let shown = limit.map { Array(sorted.prefix($0)) } ?? sorted
    let names = CommonAffixes(sorted.map(\.name))
    for tensor in shown {
      guard let error = tensor.error else { continue }
      table.add([
        names.inner(of: tensor.name), tensor.storedType, Format.fixed(tensor.bitsPerWeight, 3),
        Format.significant(error.relativeFrobenius, 4), Format.fixed(error.signalToNoise, 2),
        Format.significant(error.maximumAbsolute, 3),
        hasOutputs
          ? error.outputRelative.map { Format.significant($0, 4) } ?? ""
          : Format.fixed(error.cosine, 6),
      ])
    }
    var text = names.sentence.map { $0 + "\n" } ?? ""
    text += table.text(width: width)
    if shown.count < sorted.count {
      text += "… and \(sorted.count - shown.count) more with smaller errors (--all shows them)\n"
    }
    return text
  }

  /// The closing lines of a validation.
  public static func validationSummary(_ record: RunRecord) -> String {
    let totals = record.totals
    var text = ""
    if let error = totals.error {
      text +=
        "total: relative error \(Format.significant(error.relativeFrobenius, 4)), "
        + "SNR \(Format.fixed(error.signalToNoise, 2)) dB, "
        + "max |Δ| \(Format.significant(error.maximumAbsolute, 3)), "
        + "cosine \(Format.fixed(error.cosine, 6))\n"
    }
    let dense = record.tensors.filter { !$0.compressed }
    if !dense.isEmpty {
      let different = dense.filter { $0.error != nil }.count
      let bytes = Format.bytes(dense.reduce(0) { $0 + $1.storedBytes })
      text += "dense: \(dense.count) tensors as they were, \(bytes), "
      text += different == 0 ? "all the same as the model's\n" : "\(different) not the model's\n"
    }
    if let figures = record.modelFigures {
      text +=
        "model: perplexity \(Format.fixed(figures.referencePerplexity, 2)) → "
        + "\(Format.fixed(figures.perplexity, 2)), ratio "
        + "\(Format.fixed(figures.perplexityRatio, 4)) ± "
        + "\(Format.fixed(figures.perplexityRatioError, 4)),\n"
        + "       KL \(Format.fixed(figures.divergence, 5)) nats a token, top-1 agreement "
        + "\(Format.fixed(figures.agreement, 4))\n"
      if let exact = figures.withExactCache {
        text +=
          "       with exact keys and values: ratio \(Format.fixed(exact.perplexityRatio, 4)), KL "
          + "\(Format.fixed(exact.divergence, 5))\n"
      }
    }
    if let cache = record.keyValueCache {
      text += "cache: \(cache.scheme)\n"
      text += cache.size.map { "       \($0.sentence)\n" } ?? ""
    }
    text +=
      "size:  \(Format.fixed(totals.compressedBitsPerWeight, 3)) bits per compressed weight, "
      + "\(Format.fixed(totals.fileBitsPerWeight, 3)) over the whole file,\n"
      + "       \(Format.bytes(totals.sourceBytes)) → "
      + "\(Format.bytes(totals.fileBytes ?? totals.storedBytes)) "
      + "(\(Format.fixed(totals.ratio, 2)) times smaller)\n"
    return text
  }
}
