import RunRecords

/// What a plan looks like in a terminal.
public enum PlanReport {
  public static func text(_ record: RunRecord, width: Int = 80) -> String {
    var table = TextTable(
      [
        ("tensor", .left), ("shape", .left), ("becomes", .left), ("size", .right), ("why", .left),
      ], flexible: 4)
    let names = CommonAffixes(record.tensors.map(\.name))
    for tensor in record.tensors {
      let type =
        tensor.compressed ? "\(tensor.sourceType) → \(tensor.storedType)" : tensor.storedType
      let size =
        tensor.compressed
        ? "\(Format.bytes(tensor.sourceBytes)) → \(Format.bytes(tensor.storedBytes))"
        : Format.bytes(tensor.storedBytes)
      table.add([
        names.inner(of: tensor.name), tensor.shape.map(String.init).joined(separator: "×"), type,
        size,
        (tensor.compressed ? tensor.notes : [tensor.reason]).joined(separator: "; "),
      ])
    }
    let totals = record.totals
    var text = "recipe \(record.recipeName ?? "") for \(record.model)"
    text += record.modelFormat.map { " (\($0))\n\n" } ?? "\n\n"
    text += names.sentence.map { $0 + "\n" } ?? ""
    text += table.text(width: max(width, 100))
    text +=
      "\n\(record.tensors.filter(\.compressed).count) of \(record.tensors.count) tensors will be "
      + "compressed, \(Format.fixed(totals.compressedBitsPerWeight, 3)) bits per weight\n"
    text +=
      "size:    \(Format.bytes(totals.sourceBytes)) → \(Format.bytes(totals.storedBytes)), "
      + "\(Format.fixed(totals.ratio, 2)) times smaller\n"
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
}
