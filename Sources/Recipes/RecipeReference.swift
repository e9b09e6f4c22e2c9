import JSONText

/// The reference of the recipe language as Markdown, made from the declarations.
public enum RecipeReference {
  public static var markdown: String {
    var sections = ["### The recipe\n\n" + Recipe.referenceTable()]
    sections.append("### `calibration`\n\n" + Calibration.referenceTable())
    sections.append("### `overrides`\n\nEach item:\n\n" + Override.referenceTable())
    for kind in Stage.kinds {
      sections.append("### Stage `\(kind.key)`\n\n\(kind.summary)\n\n" + kind.reference)
    }
    return sections.joined(separator: "\n")
  }
}

extension DeclaredBlock {
  /// A table with a row an option.
  static func referenceTable() -> String {
    let defaults = Self.defaults
    var text = "| key | value | default | meaning |\n| --- | --- | --- | --- |\n"
    for option in options {
      let standard: String
      switch option.presence {
      case .required: standard = "required"
      case .alternative:
        let others = options.filter { $0.presence == option.presence && $0.name != option.name }
        standard = "this or " + others.map { "`\($0.name)`" }.joined(separator: " or ")
      case .optional:
        standard = option.write(defaults).map { option.shownDefault($0) } ?? "absent"
      }
      text += "| `\(option.name)` | \(option.expected) | \(standard) | \(option.summary) |\n"
    }
    return text
  }
}

extension OptionDeclaration {
  fileprivate func shownDefault(_ value: JSONValue) -> String {
    switch value {
    case .object: "its keys' defaults"
    case .array(let elements) where elements.isEmpty: "none"
    case .string(let text): "`\(text)`"
    default: "`\(value.text())`"
    }
  }
}
