import RunRecords

/// What a checkpoint's listing looks like in a terminal.
public enum ListingReport {
  public static func text(_ listing: CheckpointListing, width: Int = 80) -> String {
    let bytes = listing.tensors.reduce(0) { $0 + $1.bytes }
    var text =
      "\(listing.path): \(listing.format), \(listing.tensors.count) tensors, "
      + "\(Format.bytes(bytes))\n"
    for (key, value) in listing.metadata.sorted(by: { $0.key < $1.key }) {
      text += "  \(key) = \(oneLine(value, width: max(20, width - key.count - 5)))\n"
    }
    if !listing.companions.isEmpty {
      text += "  beside it: \(listing.companions.joined(separator: ", "))\n"
    }
    text += "\n" + table(listing).text(width: width)
    if listing.tensors.contains(where: { $0.statistics != nil }) {
      text += "\n" + statistics(listing).text(width: width)
    }
    for item in listing.skipped { text += "passed over: '\(item.name)': \(item.reason)\n" }
    return text
  }

  /// A text on one line; one that does not fit is cut in its middle, its length behind it.
  ///
  /// Only what is shown is walked: a tokenizer in a file's metadata has megabytes.
  private static func oneLine(_ text: String, width: Int) -> String {
    func flat(_ scalars: some Sequence<Unicode.Scalar>) -> String {
      var piece = String.UnicodeScalarView()
      piece.append(contentsOf: scalars)
      return String(piece).split(whereSeparator: \.isNewline).joined(separator: " ")
    }
    let scalars = text.unicodeScalars
    if scalars.dropFirst(4 * width).isEmpty {
      let whole = flat(scalars)
      if whole.dropFirst(width).isEmpty { return whole }
    }
    let note = " (\(Format.bytes(text.utf8.count)))"
    let room = max(2, width - note.count)
    let head = flat(scalars.prefix(4 * width)).prefix((room - 1) / 2)
    let tail = flat(scalars.suffix(4 * width)).suffix(room - 1 - (room - 1) / 2)
    return head + "…" + tail + note
  }

  private static func table(_ listing: CheckpointListing) -> TextTable {
    var table = TextTable(
      [
        ("tensor", .left), ("type", .left), ("shape", .left), ("size", .right), ("storage", .left),
      ], flexible: 0)
    for tensor in listing.tensors {
      let storage = tensor.sharesStorageWith.map { "= \($0)" } ?? tensor.storage
      table.add([
        tensor.name, tensor.dtype,
        tensor.shape.isEmpty ? "scalar" : tensor.shape.map(String.init).joined(separator: " × "),
        Format.bytes(tensor.bytes), storage,
      ])
    }
    return table
  }

  private static func statistics(_ listing: CheckpointListing) -> TextTable {
    var table = TextTable(
      [
        ("tensor", .left), ("min", .right), ("max", .right), ("mean", .right), ("std", .right),
        ("zeros", .right), ("non-finite", .right),
      ], flexible: 0)
    for tensor in listing.tensors {
      guard let values = tensor.statistics else { continue }
      table.add([
        tensor.name, Format.significant(values.minimum, 4), Format.significant(values.maximum, 4),
        Format.significant(values.mean, 3), Format.significant(values.standardDeviation, 4),
        Format.fixed(values.zeroFraction * 100, 1) + "%", "\(values.nonFiniteCount)",
      ])
    }
    return table
  }
}
