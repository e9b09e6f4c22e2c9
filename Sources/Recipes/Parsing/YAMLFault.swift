import Yams

/// Yams' errors as diagnostics.
enum YAMLFault {
  static func report(_ error: any Error, _ text: String, _ sink: inout DiagnosticSink) {
    guard let error = error as? YamlError else {
      return sink.error(at: SourcePosition(line: 1, column: 1), "the file is not YAML: \(error)")
    }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      report(problem, at: SourcePosition(line: mark.line, column: mark.column), text, &sink)
    case .reader(let problem, let offset, _, _):
      report(problem, at: position(offset ?? 0, in: text), text, &sink)
    case .duplicatedKeysInMapping(let keys, let context):
      let first = SourcePosition(line: context.mark.line, column: context.mark.column)
      let key = keys.sorted().first ?? ""
      let name = "'\(YAMLValue.shortened(key))'"
      if let second = repetition(of: key, after: first, in: text) {
        sink.error(at: second, "the key \(name) is given twice, first on line \(first.line)")
      } else {
        sink.error(at: first, "the key \(name) is given twice in one mapping")
      }
    default: sink.error(at: SourcePosition(line: 1, column: 1), "the file is not YAML: \(error)")
    }
  }

  private static func report(
    _ problem: String, at position: SourcePosition, _ text: String, _ sink: inout DiagnosticSink
  ) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let indentation =
      lines.indices.contains(position.line - 1)
      ? lines[position.line - 1].prefix { $0 == " " || $0 == "\t" } : ""
    if let tab = indentation.firstIndex(of: "\t") {
      let column = indentation.distance(from: indentation.startIndex, to: tab) + 1
      return sink.error(
        at: SourcePosition(line: position.line, column: column),
        "YAML is not indented with tabs; use spaces")
    }
    sink.error(at: position, "the YAML is malformed: \(problem)")
  }

  private static func position(_ offset: Int, in text: String) -> SourcePosition {
    let before = text.prefix(offset)
    let line = before.split(separator: "\n", omittingEmptySubsequences: false)
    return SourcePosition(line: max(line.count, 1), column: (line.last?.count ?? 0) + 1)
  }

  /// The place of the second of two equal keys, nil in flow style.
  ///
  /// Yams tells where a repeated key stands first. In block style the second one begins a later
  /// line at the same column; in flow style it could be anywhere.
  private static func repetition(
    of key: String, after first: SourcePosition, in text: String
  ) -> SourcePosition? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard first.line < lines.count, first.column >= 1 else { return nil }
    for (index, line) in lines.enumerated().dropFirst(first.line) {
      let indentation = line.prefix { $0 == " " }.count
      let body = line.dropFirst(indentation)
      if body.isEmpty || body.hasPrefix("#") { continue }
      if indentation < first.column - 1 { return nil }
      if indentation == first.column - 1, body.hasPrefix(key + ":") {
        return SourcePosition(line: index + 1, column: first.column)
      }
    }
    return nil
  }
}
