import JSONText

extension Recipe {
  /// The recipe as a file for people, every option of a stage written out.
  ///
  /// Parses back to an equal recipe.
  public var yaml: String {
    var text = ""
    for option in Self.options {
      guard let value = option.write(self), !isDefault(option) else { continue }
      text += YAMLText.entry(option.name, value)
    }
    return text
  }

  /// Only what differs from a recipe's defaults is worth a reader's time at the top level.
  private func isDefault(_ option: OptionDeclaration<Recipe>) -> Bool {
    option.presence == .optional && option.write(self) == option.write(.defaults)
  }
}

/// YAML in the one layout that recipes are printed in.
enum YAMLText {
  /// A key of the top level: lists with an item a line, all else in flow style.
  static func entry(_ key: String, _ value: JSONValue) -> String {
    guard case .array(let elements) = value else { return "\(key): \(flow(value))\n" }
    if elements.allSatisfy({ $0.string != nil }) { return "\(key): \(flow(value))\n" }
    return "\(key):\n" + elements.map { item($0) }.joined()
  }

  /// An item of a list of mappings.
  private static func item(_ value: JSONValue) -> String {
    var text = ""
    for (index, member) in (value.object?.members ?? []).enumerated() {
      text += index == 0 ? "  - " : "    "
      if member.key == "stages", let stages = member.value.array {
        text += "stages:\n" + stages.map { "      - " + block($0) + "\n" }.joined()
      } else {
        text += "\(member.key): \(flow(member.value))\n"
      }
    }
    return text
  }

  /// A mapping with one key, which needs no braces.
  private static func block(_ value: JSONValue) -> String {
    (value.object?.members ?? []).map { "\($0.key): \(flow($0.value))" }.joined(separator: ", ")
  }

  private static func flow(_ value: JSONValue) -> String {
    switch value {
    case .array(let elements): "[\(elements.map { flow($0) }.joined(separator: ", "))]"
    case .object(let object):
      "{\(object.members.map { "\($0.key): \(flow($0.value))" }.joined(separator: ", "))}"
    case .string(let text): scalar(text)
    default: value.text()
    }
  }

  /// A text as a plain scalar where nobody can misread it, quoted otherwise.
  static func scalar(_ text: String) -> String {
    let isPlain =
      text.unicodeScalars.first.map(isLetter) ?? false
      && text.unicodeScalars.allSatisfy {
        isLetter($0) || "0123456789_-./ ".unicodeScalars.contains($0)
      }
      && text.unicodeScalars.last != " " && !reserved.contains(text.lowercased())
    if isPlain { return text }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case _
      where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
        || [0x2028, 0x2029, 0xFEFF].contains(scalar.value)
        || (0xFFF0...0xFFFF).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// Readers of YAML 1.1 take these for booleans and nulls.
  private static let reserved: Set<String> = [
    "true", "false", "yes", "no", "on", "off", "y", "n", "null",
  ]

  private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
    ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
  }
}
