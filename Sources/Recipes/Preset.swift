/// A recipe that comes with the tool, by a short name: `--preset w4`.
public struct Preset: Sendable, Hashable {
  /// What the command line calls it.
  public let name: String
  /// The file under recipes/ that holds the same text.
  public let file: String
  /// The recipe's text.
  public let text: String

  /// The preset of a name.
  ///
  /// - Throws: a diagnostic that lists the names, with a suggestion.
  public static func named(_ name: String) throws(RecipeErrors) -> Preset {
    if let preset = all.first(where: { $0.name == name }) { return preset }
    let names = all.map(\.name)
    throw RecipeErrors([
      RecipeDiagnostic(
        file: "--preset", position: .none, message: "no preset is called '\(name)'",
        suggestion: EditDistance.nearest(to: name, among: names),
        note: "presets: \(names.joined(separator: ", "))")
    ])
  }

  /// The recipe that the preset stands for.
  public func recipe() throws(RecipeErrors) -> Recipe {
    try RecipeParser.parse(text: text, file: file)
  }
}
