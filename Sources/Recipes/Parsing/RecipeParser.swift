import Foundation

/// Reads recipe files.
public enum RecipeParser {
  /// Larger files are refused.
  public static let maximumBytes = 1 << 20

  /// The recipe that a text holds.
  ///
  /// - Parameters:
  ///   - text: YAML.
  ///   - file: what messages call the text.
  /// - Throws: all that is wrong with the text, each at its line and column.
  public static func parse(text: String, file: String) throws(RecipeErrors) -> Recipe {
    try parse(bytes: Array(text.utf8), file: file)
  }

  /// The recipe that the bytes of a file hold.
  ///
  /// - Throws: all that is wrong with the bytes, each at its line and column.
  public static func parse(bytes: [UInt8], file: String) throws(RecipeErrors) -> Recipe {
    var sink = DiagnosticSink(file: file)
    guard let value = YAMLComposer.compose(bytes, &sink) else {
      throw RecipeErrors(sink.sorted)
    }
    var recipe = Recipe.defaults
    recipe.read(value, owner: "the recipe", complete: true, &sink)
    checkPatches(of: recipe, &sink)
    checkMethods(of: recipe, &sink)
    guard sink.errorCount == 0 else { throw RecipeErrors(sink.sorted) }
    recipe.file = file
    recipe.warnings = sink.sorted
    return recipe
  }

  /// The recipe that a file holds.
  ///
  /// - Throws: all that is wrong with the file, each at its line and column.
  public static func parse(file path: String) throws(RecipeErrors) -> Recipe {
    let bytes: [UInt8]
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? handle.close() }
      bytes = try Array(handle.read(upToCount: maximumBytes + 1) ?? Data())
    } catch {
      let reason =
        FileManager.default.fileExists(atPath: path) ? "can't be read" : "does not exist"
      throw RecipeErrors([
        RecipeDiagnostic(file: path, position: .none, message: "the recipe \(reason)")
      ])
    }
    return try parse(bytes: bytes, file: path)
  }

  /// An option that the chosen method does not know would do nothing, silently.
  private static func checkMethods(of recipe: Recipe, _ sink: inout DiagnosticSink) {
    var stages = recipe.stages
    for override in recipe.overrides {
      guard case .stages(let own) = override.action else { continue }
      stages += own
      for stage in own where stage.isModelWide {
        sink.error(
          at: stage.position,
          "'\(stage.key)' changes the whole model; it can't be a stage of some tensors")
      }
    }
    for case .smooth(let options) in stages {
      for (name, method) in options.foreignOptions {
        sink.error(
          at: options.position,
          """
          '\(name)' is an option of method '\(method.rawValue)'; the method here is \
          '\(options.method.rawValue)'
          """)
      }
    }
    for case .quantize(let options) in stages {
      for name in options.foreignOptions {
        sink.error(
          at: options.position,
          "'\(name)' is an option of method 'gptq'; the method here is '\(options.method.rawValue)'"
        )
      }
      if let contradiction = options.contradiction {
        sink.error(at: options.position, contradiction)
      }
    }
    for case .prune(let options) in stages {
      for (name, owner) in options.foreignOptions {
        sink.error(
          at: options.position,
          "'\(name)' is an option of \(owner); the method here is '\(options.method.rawValue)'")
      }
    }
  }

  /// A patch of a stage that the recipe has nowhere would do nothing, silently.
  private static func checkPatches(of recipe: Recipe, _ sink: inout DiagnosticSink) {
    var present = Set(recipe.stages.map(\.key))
    guard !present.isEmpty else { return }
    for override in recipe.overrides {
      switch override.action {
      case .skip: break
      case .stages(let stages): present.formUnion(stages.map(\.key))
      case .set(let patches):
        for patch in patches where !present.contains(patch.key) {
          sink.error(
            at: patch.position,
            "'set' changes '\(patch.key)', which is no stage of this recipe",
            note: "its stages: \(recipe.stages.map(\.key).joined(separator: ", "))")
        }
      }
    }
  }
}
