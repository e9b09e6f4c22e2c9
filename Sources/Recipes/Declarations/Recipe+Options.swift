import JSONText

extension Recipe: DeclaredBlock {
  static var defaults: Self { Self(name: "", stages: []) }

  static let options: [OptionDeclaration<Self>] = [
    .required("version", \.version, .integer(1...1), "The version of the recipe language."),
    .required("name", \.name, .line, "What reports call the recipe."),
    .optional("description", \.description, .line, "One line for people."),
    .optional(
      "targets", \.targets, .selectors,
      """
      Which tensors, by name; absent means every weight matrix except embeddings and heads. \
      A glob covers the whole name (`*` any run of characters, `?` one, `[ab]` one of these); \
      `re:` starts a regular expression, which is found anywhere in the name.
      """),
    .optional("ignore", \.ignore, .anySelectors, "Which of those stay as they are."),
    .optional(
      "strict_groups", \.strictGroups, .boolean,
      "Whether a group that does not divide a width is an error instead of a smaller group."),
    .optional("seed", \.seed, .seed, "The seed of everything random."),
    .optional(
      "calibration", \.calibration, .calibration,
      "The text that calibrated methods gather their statistics from."),
    .optional(
      "kv_cache", \.keyValueCache, .keyValue,
      "How a run of the model keeps keys and values of older tokens; absent: exactly."),
    .required("stages", \.stages, .stages, "What to do, in this order."),
    .optional(
      "overrides", \.overrides, .overrides,
      "Other options or other stages for some tensors; applied in order, the last one wins."),
  ]
}

extension Calibration: DeclaredBlock {
  static var defaults: Self { Self() }

  static let options: [OptionDeclaration<Self>] = [
    .optional(
      "data", \.data, .calibrationSource,
      """
      `builtin` is the text that comes with the tool, `self` is text that the model generates, \
      anything else is the path of a text or token file.
      """),
    .optional("sequences", \.sequences, .integer(1...1_048_576), "How many sequences."),
    .optional("length", \.length, .integer(1...1_048_576), "Tokens in each."),
  ]
}

extension Override: DeclaredBlock {
  static var defaults: Self { Self(targets: [], action: .set([])) }

  static let options: [OptionDeclaration<Self>] = [
    .required("targets", \.targets, .selectors, "The tensors that this override is for."),
    .alternative(
      "set", of: "action", .patches, "New values for options of the stages, by the stage's key.",
      get: { if case .set(let patches) = $0.action { patches } else { nil } },
      set: { $0.action = .set($1) }),
    .alternative(
      "stages", of: "action", .stages, "A list that stands instead of the recipe's.",
      get: { if case .stages(let stages) = $0.action { stages } else { nil } },
      set: { $0.action = .stages($1) }),
    .alternative(
      "skip", of: "action", .yes, "`true` leaves the tensors as they are.",
      get: { if case .skip = $0.action { true } else { nil } },
      set: { override, _ in override.action = .skip }),
  ]
}

extension OptionCodec where Value == Bool {
  /// A flag whose absence says no.
  static let yes = OptionCodec(
    schema: ["const": true], expected: "true",
    decode: { $0.scalar == .boolean(true) ? true : nil }, encode: { JSONValue($0) })
}

extension OptionCodec where Value == Calibration.Source {
  static let calibrationSource = OptionCodec(
    schema: ["type": "string", "minLength": 1],
    expected: "'builtin', 'self' or the path of a file",
    decode: { value in
      switch value.scalar {
      case .text("builtin")?: .builtin
      case .text("self")?: .model
      case .text(let path)? where !path.isEmpty && !path.unicodeScalars.contains("\0"): .file(path)
      default: nil
      }
    },
    encode: { source in
      switch source {
      case .builtin: "builtin"
      case .model: "self"
      // A file that is called like a word is named with its folder.
      case .file(let path) where path == "builtin" || path == "self": .string("./" + path)
      case .file(let path): .string(path)
      }
    })
}

extension OptionCodec where Value == Calibration {
  static let calibration = OptionCodec(
    schema: Calibration.schema(complete: true), expected: "a mapping",
    read: { value, _, sink in
      var calibration = Calibration.defaults
      calibration.read(value, owner: "'calibration'", complete: true, &sink)
      return calibration
    },
    encode: { .object($0.encoded()) })
}
