import Yams

/// From bytes to a `YAMLValue`, guarding against what a hostile file can do.
enum YAMLComposer {
  /// A text without aliases has fewer nodes than bytes, so only aliases can reach this.
  static let maximumNodes = 1 << 20
  static let maximumDepth = 64

  /// The document; nil when it is no YAML, which is then reported.
  static func compose(_ bytes: [UInt8], _ sink: inout DiagnosticSink) -> YAMLValue? {
    let start = SourcePosition(line: 1, column: 1)
    guard bytes.count <= RecipeParser.maximumBytes else {
      sink.error(
        at: start,
        "the file is too large; a recipe has at most \(RecipeParser.maximumBytes) bytes")
      return nil
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      sink.error(at: UTF8Check.firstFault(bytes), "the file is not UTF-8 text")
      return nil
    }
    guard !AliasBound.exceeded(by: text) else {
      sink.error(
        at: start, "the file has so many aliases that it could grow without bound; write them out")
      return nil
    }
    do {
      guard let root = try Yams.compose(yaml: text, .basic, .default, .utf8) else {
        sink.error(
          at: start, "the file is empty; a recipe begins with 'version: \(Recipe.currentVersion)'")
        return nil
      }
      var conversion = YAMLConversion(sink: sink)
      let value = conversion.convert(root, depth: 0)
      sink = conversion.sink
      return value
    } catch {
      YAMLFault.report(error, text, &sink)
      return nil
    }
  }
}

/// Where bytes stop being UTF-8.
enum UTF8Check {
  static func firstFault(_ bytes: [UInt8]) -> SourcePosition {
    // The repair puts U+FFFD where the first fault is; before it every byte stays.
    let repaired = String(decoding: bytes, as: UTF8.self)
    var position = SourcePosition(line: 1, column: 1)
    var offset = 0
    for scalar in repaired.unicodeScalars {
      let encoded = Array(String(scalar).utf8)
      let isOwn = bytes[offset...].starts(with: encoded)
      if !isOwn { return position }
      offset += encoded.count
      if scalar == "\n" {
        position = SourcePosition(line: position.line + 1, column: 1)
      } else {
        position.column += 1
      }
    }
    return position
  }
}

/// Bounds what aliases can expand to before the text is composed.
///
/// Yams hashes every mapping key while composing, and a key may be an alias of aliases ("billion
/// laughs"), so a check on the composed tree alone comes too late. With k aliases a text of n
/// bytes grows to at most about n · 3^(k/3) nodes (k/3 levels of three); that product is bounded.
/// Only a `*name` whose `&name` stands somewhere counts, so globs don't.
enum AliasBound {
  static let maximumGrowth = 100_000_000.0

  static func exceeded(by text: String) -> Bool {
    let bytes = Array(text.utf8)
    let anchors = Set(names(after: UInt8(ascii: "&"), in: bytes))
    guard !anchors.isEmpty else { return false }
    let aliases = names(after: UInt8(ascii: "*"), in: bytes).filter { anchors.contains($0) }.count
    var growth = Double(bytes.count)
    for _ in 0..<aliases where growth <= maximumGrowth { growth *= 1.4423 }
    return growth > maximumGrowth
  }

  private static func names(after mark: UInt8, in bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var found: [ArraySlice<UInt8>] = []
    for (index, byte) in bytes.enumerated() where byte == mark {
      let name = bytes[(index + 1)...].prefix { byte in
        byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
      }
      if !name.isEmpty { found.append(name) }
    }
    return found
  }
}
