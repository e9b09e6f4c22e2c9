import RunRecords

/// A run as one page that needs nothing else: tables and inline SVG, no script from elsewhere.
public enum HTMLReport {
  /// The page's text.
  public static func page(_ record: RunRecord) -> String {
    var body = "<h1>\(escaped(title(record)))</h1>\n"
    body += summary(record)
    let measured = record.tensors.filter { $0.error != nil }
    if !measured.isEmpty {
      body += "<h2>Relative error of each compressed tensor</h2>\n"
      body += BarChart.svg(
        measured.map { ($0.name, $0.error?.relativeFrobenius ?? 0) },
        label: "‖W − Ŵ‖ / ‖W‖")
    }
    body += "<h2>Where the bytes are</h2>\n"
    body += BarChart.svg(
      bytesByType(record.tensors).map { ($0.type, Double($0.bytes)) },
      label: "stored bytes by type"
    ) { Format.bytes(Int($0)) }
    body += "<h2>Tensors</h2>\n" + table(record.tensors)
    if !record.warnings.isEmpty {
      body += "<h2>Warnings</h2>\n<ul>\n"
      for warning in record.warnings { body += "<li>\(escaped(warning))</li>\n" }
      body += "</ul>\n"
    }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(escaped(title(record)))</title>
      <style>\(style)</style></head>
      <body>
      \(body)</body></html>

      """
  }

  private static func title(_ record: RunRecord) -> String {
    "pith \(record.command)" + (record.recipeName.map { ": \($0)" } ?? "")
  }

  private static func summary(_ record: RunRecord) -> String {
    let totals = record.totals
    var rows: [(String, String)] = [("model", record.model)]
    if let output = record.output { rows.append(("artefact", output)) }
    if let recipe = record.recipeName { rows.append(("recipe", recipe)) }
    rows.append(
      ("bits per compressed weight", Format.fixed(totals.compressedBitsPerWeight, 3)))
    rows.append(("bits per weight, whole file", Format.fixed(totals.fileBitsPerWeight, 3)))
    rows.append(
      (
        "size",
        "\(Format.bytes(totals.sourceBytes)) → \(Format.bytes(totals.fileBytes ?? totals.storedBytes))"
          + " (\(Format.fixed(totals.ratio, 2)) times smaller)"
      ))
    if let error = totals.error {
      rows.append(("relative error, all", Format.significant(error.relativeFrobenius, 4)))
      rows.append(("signal to noise", Format.fixed(error.signalToNoise, 2) + " dB"))
    }
    if let cache = record.keyValueCache {
      let size = cache.size.map { "; \($0.sentence)" } ?? ""
      rows.append(("keys and values", cache.scheme + size))
    }
    if let seconds = record.seconds { rows.append(("time", Format.duration(seconds))) }
    if let peak = record.peakResidentBytes { rows.append(("peak memory", Format.bytes(peak))) }
    if let fingerprint = record.fingerprint { rows.append(("numeric path", fingerprint)) }
    rows.append(("pith", record.toolVersion))
    let cells = rows.map { "<tr><th>\(escaped($0.0))</th><td>\(escaped($0.1))</td></tr>" }
    return "<table class=\"summary\">\n" + cells.joined(separator: "\n") + "\n</table>\n"
  }

  private static func table(_ tensors: [TensorRecord]) -> String {
    var html = "<table>\n<tr><th>tensor</th><th>shape</th><th>type</th><th>size</th>"
    html += "<th>bits</th><th>rel. error</th><th>SNR dB</th><th>max |Δ|</th><th>note</th></tr>\n"
    for tensor in tensors {
      let shape = tensor.shape.map(String.init).joined(separator: " × ")
      let type =
        tensor.compressed ? "\(tensor.sourceType) → \(tensor.storedType)" : tensor.storedType
      var cells = [
        tensor.name, shape, type,
        "\(Format.bytes(tensor.sourceBytes)) → \(Format.bytes(tensor.storedBytes))",
        Format.fixed(tensor.bitsPerWeight, 3),
      ]
      if let error = tensor.error {
        cells += [
          Format.significant(error.relativeFrobenius, 4), Format.fixed(error.signalToNoise, 2),
          Format.significant(error.maximumAbsolute, 3),
        ]
      } else {
        cells += ["", "", ""]
      }
      cells.append(([tensor.reason] + tensor.notes).joined(separator: "; "))
      html += "<tr>" + cells.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>\n"
    }
    return html + "</table>\n"
  }

  private static func bytesByType(_ tensors: [TensorRecord]) -> [(type: String, bytes: Int)] {
    var sums: [String: Int] = [:]
    for tensor in tensors { sums[tensor.storedType, default: 0] += tensor.storedBytes }
    return sums.map { (type: $0.key, bytes: $0.value) }
      .filter { $0.bytes > 0 }
      .sorted { $0.bytes != $1.bytes ? $0.bytes > $1.bytes : $0.type < $1.type }
  }

  /// A text with the characters that HTML reads replaced.
  static func escaped(_ text: String) -> String {
    // Scalars, not characters: "<" with an accent behind it is one character, and still a "<".
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result.append(contentsOf: "&amp;".unicodeScalars)
      case "<": result.append(contentsOf: "&lt;".unicodeScalars)
      case ">": result.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  private static let style = """
    body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;\
    color:#1c2330;background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}\
    table{border-collapse:collapse;width:100%;font-size:13px}\
    th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e3e6ec}\
    .summary{width:auto}.summary th{font-weight:500;color:#566}\
    svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}\
    @media(prefers-color-scheme:dark){body{color:#dde3ee;background:#151a22}\
    th,td{border-color:#2b3340}.summary th{color:#9ab}}
    """
}
