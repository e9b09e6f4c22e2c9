extension JSONValue {
  /// How a document is laid out as text.
  public enum Layout: Sendable {
    /// No spaces; keys in their order.
    case compact
    /// No spaces; keys sorted by their bytes: one text for one value, fit for hashing.
    case canonical
    /// Two spaces a level; keys in their order.
    case pretty
  }

  /// The document as text, without a line break at its end.
  public func text(_ layout: Layout = .compact) -> String {
    var output = ""
    write(to: &output, layout, level: 0)
    return output
  }

  private func write(to output: inout String, _ layout: Layout, level: Int) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .number(let text): output += text
    case .string(let text): Self.write(text, to: &output)
    case .array(let elements):
      Self.write(elements, to: &output, layout, level, open: "[", close: "]") { element, output in
        element.write(to: &output, layout, level: level + 1)
      }
    case .object(let object):
      let members =
        layout == .canonical
        ? object.members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        : object.members
      Self.write(members, to: &output, layout, level, open: "{", close: "}") { member, output in
        Self.write(member.key, to: &output)
        output += layout == .pretty ? ": " : ":"
        member.value.write(to: &output, layout, level: level + 1)
      }
    }
  }

  private static func write<Items: Collection>(
    _ items: Items, to output: inout String, _ layout: Layout, _ level: Int, open: String,
    close: String, _ body: (Items.Element, inout String) -> Void
  ) {
    output += open
    var first = true
    for item in items {
      if !first { output += "," }
      first = false
      if layout == .pretty { output += "\n" + String(repeating: "  ", count: level + 1) }
      body(item, &output)
    }
    if layout == .pretty, !first { output += "\n" + String(repeating: "  ", count: level) }
    output += close
  }

  private static func write(_ text: String, to output: inout String) {
    output += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }
}
