import JSONText

extension OptionCodec where Value == [Selector] {
  /// A list of globs and expressions with at least one.
  static let selectors = selectors(atLeast: 1)
  /// A list of globs and expressions that may be empty.
  static let anySelectors = selectors(atLeast: 0)

  private static func selectors(atLeast minimum: Int) -> OptionCodec {
    OptionCodec(
      schema: [
        "type": "array", "items": ["type": "string", "minLength": 1, "maxLength": 4096],
        "minItems": JSONValue(minimum),
      ],
      expected: "a list of globs and 're:' expressions",
      read: { value, owner, sink in
        guard case .sequence(let elements) = value.content else { return nil }
        if elements.count < minimum {
          sink.error(at: value.position, "a list of selectors in \(owner) is empty")
        }
        return elements.compactMap { element in
          guard case .text(let text)? = element.scalar else {
            sink.error(
              at: element.position,
              "a selector must be a glob or a 're:' expression, found \(element.described)")
            return nil
          }
          do {
            return try Selector(text, position: element.position)
          } catch {
            sink.error(
              at: element.position, "selector '\(YAMLValue.shortened(text))' is malformed: \(error)"
            )
            return nil
          }
        }
      },
      encode: { .array($0.map { .string($0.text) }) })
  }
}

extension OptionCodec {
  /// A list of different words of an enumeration, one at least.
  static func choices<Word>() -> OptionCodec
  where Value == [Word], Word: RawRepresentable<String> & CaseIterable & Sendable & Hashable {
    let words = Word.allCases.map(\.rawValue)
    return OptionCodec(
      schema: [
        "type": "array", "items": ["enum": .array(words.map { .string($0) })], "minItems": 1,
        "uniqueItems": true,
      ],
      expected: "a list of " + words.map { "'\($0)'" }.joined(separator: " or "),
      decode: { value in
        guard case .sequence(let elements) = value.content else { return nil }
        let found = elements.compactMap { element -> Word? in
          guard case .text(let word)? = element.scalar else { return nil }
          return Word(rawValue: word)
        }
        guard !found.isEmpty, found.count == elements.count, Set(found).count == found.count
        else { return nil }
        return found
      },
      encode: { .array($0.map { .string($0.rawValue) }) })
  }
}

extension OptionCodec where Value == [Stage] {
  /// A list of stages, each a mapping with the stage's key alone.
  static let stages = OptionCodec(
    schema: ["type": "array", "items": ["$ref": "#/$defs/stage"], "minItems": 1],
    expected: "a list of stages",
    read: { value, owner, sink in
      guard case .sequence(let elements) = value.content else { return nil }
      if elements.isEmpty {
        sink.error(
          at: value.position, "'stages' in \(owner) is empty; give at least one stage",
          note: knownStages)
      }
      let before = sink.errorCount
      let stages = elements.compactMap { stage($0, &sink) }
      if sink.errorCount == before { StageOrder.check(stages, &sink) }
      return stages
    },
    encode: { .array($0.map(\.encoded)) })

  private static let knownStages =
    "known stages: \(Stage.kinds.map(\.key).joined(separator: ", "))"

  private static func stage(_ value: YAMLValue, _ sink: inout DiagnosticSink) -> Stage? {
    guard case .mapping(let entries) = value.content, let entry = entries.first else {
      sink.error(
        at: value.position,
        "a stage must be a mapping such as 'quantize: {…}', found \(value.described)",
        note: knownStages)
      return nil
    }
    if entries.count > 1 {
      sink.error(
        at: entries[1].position,
        "one stage an item: begin '\(entries[1].key)' with '- ' of its own")
    }
    guard let kind = Stage.kinds.first(where: { $0.key == entry.key }) else {
      sink.unknown(
        "stage", entry.key, of: "'stages'", known: Stage.kinds.map(\.key), at: entry.position)
      return nil
    }
    return kind.parse(entry.value, entry.position, &sink)
  }
}

extension Stage {
  /// The stage as a mapping with its key alone, every default written out.
  var encoded: JSONValue {
    var object = JSONObject()
    object[key] = .object(kind.encode(self))
    return .object(object)
  }
}

extension OptionCodec where Value == [Override] {
  static let overrides = OptionCodec(
    schema: ["type": "array", "items": ["$ref": "#/$defs/override"]],
    expected: "a list of overrides",
    read: { value, _, sink in
      guard case .sequence(let elements) = value.content else { return nil }
      return elements.map { element in
        var override = Override.defaults
        override.position = element.position
        override.read(element, owner: "'overrides'", complete: true, &sink)
        return override
      }
    },
    encode: { .array($0.map { .object($0.encoded()) }) })
}

extension OptionCodec where Value == [StagePatch] {
  /// A mapping from stage keys to options.
  static let patches = OptionCodec(
    schema: ["$ref": "#/$defs/patch"], expected: "a mapping from stages to options",
    read: { value, _, sink in
      guard case .mapping(let entries) = value.content else { return nil }
      if entries.isEmpty { sink.error(at: value.position, "'set' changes nothing") }
      // They change different stages, so that their order means nothing.
      return entries.sorted { $0.key < $1.key }.compactMap { entry in
        guard let kind = Stage.kinds.first(where: { $0.key == entry.key }) else {
          sink.unknown(
            "stage", entry.key, of: "'set'", known: Stage.kinds.map(\.key), at: entry.position)
          return nil
        }
        return StagePatch(
          key: entry.key, options: kind.parsePatch(entry.value, &sink), position: entry.position)
      }
    },
    encode: { patches in
      var object = JSONObject()
      for patch in patches { object[patch.key] = .object(patch.options) }
      return .object(object)
    })
}
