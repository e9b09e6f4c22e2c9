import Recipes
import Testing

/// A text with markers (1️⃣, 2️⃣, …) at the places that diagnostics must point to.
struct MarkedText {
  let text: String
  let positions: [Character: SourcePosition]

  static let markers: [Character] = ["1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣", "6️⃣", "7️⃣", "8️⃣", "9️⃣"]

  init(_ marked: String) {
    var text = ""
    var positions: [Character: SourcePosition] = [:]
    var position = SourcePosition(line: 1, column: 1)
    for character in marked {
      if Self.markers.contains(character) {
        positions[character] = position
        continue
      }
      text.append(character)
      if character.isNewline {
        position = SourcePosition(line: position.line + 1, column: 1)
      } else {
        position.column += character.unicodeScalars.count
      }
    }
    self.text = text
    self.positions = positions
  }
}

/// Expects that parsing reports exactly these errors, each at the marker that it begins with.
func expectErrors(
  _ marked: String, _ expected: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
  let fixture = MarkedText(marked)
  #expect(
    fixture.positions.count == expected.count, "markers and expectations",
    sourceLocation: sourceLocation)
  let wanted = expected.map { line -> String in
    guard let marker = line.first, let position = fixture.positions[marker] else {
      return "no marker: \(line)"
    }
    return "r.yaml:\(position.line):\(position.column): \(line.dropFirst())"
  }
  #expect(messages(fixture.text) == wanted, sourceLocation: sourceLocation)
}

/// The diagnostics of a text that must be refused, a line each.
func messages(_ text: String) -> [String] {
  do {
    let recipe = try RecipeParser.parse(text: text, file: "r.yaml")
    return ["accepted"] + recipe.warnings.map(\.description)
  } catch {
    return error.diagnostics.map(\.description)
  }
}

/// A recipe with these stages and whatever follows.
func recipe(_ stages: String, _ rest: String = "") throws -> Recipe {
  try RecipeParser.parse(
    text: "version: 1\nname: t\nstages: [\(stages)]\n\(rest)\n", file: "r.yaml")
}
