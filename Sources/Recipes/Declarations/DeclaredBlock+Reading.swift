import JSONText

extension DeclaredBlock {
  /// Reads the keys of a mapping; reports all that is wrong with them.
  ///
  /// - Parameters:
  ///   - owner: what the mapping belongs to, for messages: "'quantize'".
  ///   - complete: whether required keys must be there; a patch changes only what it names.
  /// - Returns: which keys were given, nil when the value is no mapping.
  @discardableResult
  mutating func read(
    _ value: YAMLValue, owner: String, complete: Bool, _ sink: inout DiagnosticSink
  ) -> Set<String>? {
    guard case .mapping(let entries) = value.content else {
      sink.error(
        at: value.position,
        "\(owner) must be a mapping of options (\(Self.keys)), found \(value.described)")
      return nil
    }
    var given: Set<String> = []
    var misspelt: Set<String> = []
    var chosen: [String: String] = [:]
    for entry in entries {
      guard let option = Self.options.first(where: { $0.name == entry.key }) else {
        let names = Self.options.map(\.name)
        sink.unknown("key", entry.key, of: owner, known: names, at: entry.position)
        // A misspelt key is one mistake, not a missing key as well.
        if let meant = EditDistance.nearest(to: entry.key, among: names) { misspelt.insert(meant) }
        continue
      }
      given.insert(entry.key)
      if case .alternative(let subject) = option.presence {
        if let other = chosen[subject] {
          sink.error(
            at: entry.position,
            "'\(entry.key)' in \(owner) conflicts with '\(other)'; give one of them")
          continue
        }
        chosen[subject] = entry.key
      }
      option.read(entry.value, owner, &self, &sink)
    }
    settle(given: given)
    if complete {
      Self.reportMissing(given.union(misspelt), owner: owner, at: value.position, &sink)
    }
    return given
  }

  private static func reportMissing(
    _ given: Set<String>, owner: String, at position: SourcePosition, _ sink: inout DiagnosticSink
  ) {
    var subjects: Set<String> = []
    for option in options {
      switch option.presence {
      case .optional: break
      case .required:
        if !given.contains(option.name) {
          sink.error(at: position, "\(owner) needs '\(option.name)': \(option.expected)")
        }
      case .alternative(let subject):
        guard subjects.insert(subject).inserted else { continue }
        let names = options.filter { $0.presence == option.presence }.map(\.name)
        if given.isDisjoint(with: names) {
          let list = names.map { "'\($0)'" }.joined(separator: " or ")
          sink.error(at: position, "\(owner) needs \(list)")
        }
      }
    }
  }

  private static var keys: String { options.map(\.name).joined(separator: ", ") }

  /// Every option with its value, defaults written out.
  func encoded() -> JSONObject {
    var object = JSONObject()
    for option in Self.options { object[option.name] = option.write(self) }
    return object
  }
}
