import JSONText

/// What the parser, the writer, the schema and the reference need to know of a stage.
struct StageKind: Sendable {
  let key: String
  let summary: String
  let optionNames: [String]
  let schema: JSONValue
  /// The schema of a patch: no option is required.
  let patchSchema: JSONValue
  let reference: String
  let holds: @Sendable (Stage) -> Bool
  let position: @Sendable (Stage) -> SourcePosition
  let parse: @Sendable (YAMLValue, SourcePosition, inout DiagnosticSink) -> Stage
  /// The checked options of a patch, each in its canonical form.
  let parsePatch: @Sendable (YAMLValue, inout DiagnosticSink) -> JSONObject
  let patched: @Sendable (Stage, JSONObject) -> Stage
  let encode: @Sendable (Stage) -> JSONObject

  init<Options: StageOptions>(
    wrap: @escaping @Sendable (Options) -> Stage, unwrap: @escaping @Sendable (Stage) -> Options?
  ) {
    key = Options.key
    summary = Options.summary
    optionNames = Options.options.map(\.name)
    schema = Options.schema(complete: true)
    patchSchema = Options.schema(complete: false)
    reference = Options.referenceTable()
    holds = { unwrap($0) != nil }
    position = { unwrap($0)?.position ?? .none }
    parse = { value, position, sink in
      var options = Options.defaults
      options.position = position
      options.read(value, owner: "'\(Options.key)'", complete: true, &sink)
      return wrap(options)
    }
    parsePatch = { value, sink in
      var options = Options.defaults
      let given = options.read(value, owner: "'\(Options.key)'", complete: false, &sink) ?? []
      var patch = JSONObject()
      for option in Options.options where given.contains(option.name) {
        patch[option.name] = option.write(options)
      }
      return patch
    }
    patched = { stage, patch in
      guard var options = unwrap(stage) else { return stage }
      // The patch was checked when it was read, and says what its options' codecs wrote.
      var sink = DiagnosticSink(file: "")
      options.read(YAMLValue(.object(patch)), owner: "", complete: false, &sink)
      return wrap(options)
    }
    encode = { unwrap($0)?.encoded() ?? JSONObject() }
  }
}

/// New values for some options of the stages with one key.
public struct StagePatch: Sendable, Hashable {
  /// The key of the stages that it changes.
  public let key: String
  /// The options' new values in their canonical form.
  public let options: JSONObject
  @Incidental public var position: SourcePosition

  init(key: String, options: JSONObject, position: SourcePosition) {
    self.key = key
    self.options = options
    self.position = position
  }
}

extension Stage {
  /// This stage with a patch's options, unchanged when the patch is for another stage.
  public func applying(_ patch: StagePatch) -> Stage {
    patch.key == key ? kind.patched(self, patch.options) : self
  }
}
