import JSONText
import Pith

/// What an export did, for people and for programs.
struct ExportSummary {
  let output: String
  let weights: [ExportedWeight]

  func print(asJSON: Bool) {
    if asJSON {
      Swift.print(json.text(.pretty))
      return
    }
    var counts: [(form: String, count: Int)] = []
    for weight in weights {
      if let index = counts.firstIndex(where: { $0.form == weight.form }) {
        counts[index].count += 1
      } else {
        counts.append((weight.form, 1))
      }
    }
    for (form, count) in counts { Swift.print("  \(count) × \(form)") }
    let errors = weights.compactMap(\.addedError)
    if let worst = errors.max() {
      let mean = errors.reduce(0, +) / Double(errors.count)
      Swift.print(
        "  rounding again added a relative error of \(Format.significant(mean)) on average, "
          + "\(Format.significant(worst)) at most")
    }
    Swift.print("written: \(output)")
  }

  private var json: JSONValue {
    [
      "output": .string(output),
      "weights": .array(
        weights.map { weight in
          [
            "name": .string(weight.name), "form": .string(weight.form),
            "exact": JSONValue(weight.isExact),
            "added_error": weight.addedError.map { JSONValue($0) } ?? .null,
          ]
        }),
      "peak_resident_bytes": JSONValue(ProcessMemory.peakResidentBytes),
    ]
  }
}
