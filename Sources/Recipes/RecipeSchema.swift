import JSONText

/// The JSON Schema of recipe files (draft 2020-12), made from the declarations.
public enum RecipeSchema {
  public static var json: JSONValue {
    var schema = JSONObject("$schema", "https://json-schema.org/draft/2020-12/schema")
    schema["title"] = "Pith recipe"
    for (key, value) in Recipe.schema(complete: true).object?.members ?? [] {
      schema[key] = value
    }
    schema["$defs"] = definitions
    return .object(schema)
  }

  private static var definitions: JSONValue {
    var definitions = JSONObject()
    definitions["stage"] = [
      "oneOf": .array(Stage.kinds.map { ["$ref": .string("#/$defs/" + $0.key)] })
    ]
    for kind in Stage.kinds {
      definitions[kind.key] = [
        "type": "object", "description": .string(kind.summary), "additionalProperties": false,
        "required": [.string(kind.key)],
        "properties": .object(JSONObject(kind.key, kind.schema)),
      ]
    }
    definitions["override"] = Override.schema(complete: true)
    var patches = JSONObject()
    for kind in Stage.kinds { patches[kind.key] = kind.patchSchema }
    definitions["patch"] = [
      "type": "object", "additionalProperties": false, "minProperties": 1,
      "properties": .object(patches),
    ]
    return .object(definitions)
  }
}

extension JSONObject {
  /// An object with one member.
  init(_ key: String, _ value: JSONValue) {
    self.init()
    self[key] = value
  }
}

extension DeclaredBlock {
  /// The schema of the mapping; without `complete` nothing is required and nothing has a default.
  static func schema(complete: Bool) -> JSONValue {
    let defaults = Self.defaults
    var properties = JSONObject()
    for option in options {
      var property = option.schema.object ?? JSONObject()
      property["description"] = .string(option.summary)
      if complete, option.presence == .optional, let value = option.write(defaults) {
        property["default"] = value
      }
      properties[option.name] = .object(property)
    }
    var schema = JSONObject("type", "object")
    schema["additionalProperties"] = false
    schema["properties"] = .object(properties)
    let required = options.filter { $0.presence == .required }.map(\.name)
    if complete, !required.isEmpty {
      schema["required"] = .array(required.map { .string($0) })
    }
    let subjects = options.reduce(into: [String]()) { subjects, option in
      if case .alternative(let subject) = option.presence, !subjects.contains(subject) {
        subjects.append(subject)
      }
    }
    for subject in subjects {
      let names = options.filter { $0.presence == .alternative(of: subject) }.map(\.name)
      let choices = JSONValue.array(names.map { ["required": [.string($0)]] })
      if complete {
        schema["oneOf"] = choices
      } else {
        schema["not"] = ["required": .array(names.map { .string($0) })]
      }
    }
    return .object(schema)
  }
}
