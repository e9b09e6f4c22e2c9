import Digests
import JSONText

extension Recipe {
  /// The recipe with every default written out, keys sorted, lists of selectors sorted.
  public var canonicalJSON: JSONValue {
    JSONValue.object(encoded()).canonical
  }

  /// SHA-256 of the canonical form, name and description included: of what an artefact carries.
  public var textHash: String { SHA256.hexadecimal(of: canonicalJSON.text(.canonical)) }

  /// SHA-256 of what the recipe means: of its canonical form without name and description.
  ///
  /// Equal for recipes that do the same, whatever they are called and however they are laid out.
  public var hash: String {
    var anonymous = self
    anonymous.name = ""
    anonymous.description = nil
    return SHA256.hexadecimal(of: anonymous.canonicalJSON.text(.canonical))
  }
}

extension JSONValue {
  /// Keys sorted; of a list of selectors, of which any one is enough, each once and sorted.
  fileprivate var canonical: JSONValue {
    switch self {
    case .array(let elements):
      let texts = elements.compactMap(\.string)
      guard texts.count == elements.count else { return .array(elements.map(\.canonical)) }
      return .array(Set(texts).sorted().map { .string($0) })
    case .object(let object):
      var sorted = JSONObject()
      for member in object.members.sorted(by: { $0.key < $1.key }) {
        sorted[member.key] = member.value.canonical
      }
      return .object(sorted)
    default: return self
    }
  }
}
