import Yams

/// Copies Yams' nodes, which share what aliases name, into values; refuses when they grow too many.
struct YAMLConversion {
  var sink: DiagnosticSink
  private var nodes = 0
  private var refused = false

  init(sink: DiagnosticSink) { self.sink = sink }

  /// The value of a node; nil when it was refused.
  mutating func convert(_ node: Node, depth: Int) -> YAMLValue? {
    let position = Self.position(of: node)
    nodes += 1
    guard !refused else { return nil }
    guard nodes <= YAMLComposer.maximumNodes else {
      refused = true
      sink.error(
        at: position, "aliases expand to more than \(YAMLComposer.maximumNodes) values; write less")
      return nil
    }
    guard depth <= YAMLComposer.maximumDepth else {
      refused = true
      sink.error(at: position, "values nest more than \(YAMLComposer.maximumDepth) levels deep")
      return nil
    }
    if let tag = Self.tag(of: node) {
      sink.error(
        at: position, "tags have no meaning in a recipe, found '\(YAMLValue.shortened(tag))'")
    }
    switch node {
    case .scalar(let scalar):
      let quoted = scalar.style != .plain || scalar.tag.description == Self.textTag
      return YAMLValue(.scalar(scalar.string, quoted: quoted), at: position)
    case .sequence(let sequence):
      var elements: [YAMLValue] = []
      for element in sequence {
        guard let value = convert(element, depth: depth + 1) else { return nil }
        elements.append(value)
      }
      return YAMLValue(.sequence(elements), at: position)
    case .mapping(let mapping):
      return entries(of: mapping, depth: depth).map { YAMLValue(.mapping($0), at: position) }
    case .alias:
      sink.error(at: position, "an alias names nothing")
      return nil
    }
  }

  private mutating func entries(of mapping: Node.Mapping, depth: Int) -> [YAMLValue.Entry]? {
    var own: [YAMLValue.Entry] = []
    var merged: [YAMLValue.Entry] = []
    for (key, node) in mapping {
      guard case .scalar(let name) = key else {
        refused = true
        sink.error(at: Self.position(of: key), "a key must be a word, found a list or a mapping")
        return nil
      }
      guard let value = convert(node, depth: depth + 1) else { return nil }
      let position = Self.position(of: key)
      if name.string == "<<", name.style == .plain {
        merged += mergeable(value, at: position)
      } else {
        own.append(YAMLValue.Entry(key: name.string, position: position, value: value))
      }
    }
    // A key of the mapping itself stands over merged ones, an earlier merged one over a later.
    var known = Set(own.map(\.key))
    own += merged.filter { known.insert($0.key).inserted }
    return own
  }

  private mutating func mergeable(
    _ value: YAMLValue, at position: SourcePosition
  ) -> [YAMLValue.Entry] {
    switch value.content {
    case .mapping(let entries): return entries
    case .sequence(let elements): return elements.flatMap { mergeable($0, at: position) }
    case .scalar:
      sink.error(at: position, "'<<' merges mappings, found \(value.described)")
      return []
    }
  }

  private static let textTag = "tag:yaml.org,2002:str"

  /// The tag that the text gives a node; nil for none and for that of texts, which Yams gives to
  /// every quoted scalar.
  private static func tag(of node: Node) -> String? {
    let tag: Tag
    switch node {
    case .scalar(let scalar): tag = scalar.tag
    case .sequence(let sequence): tag = sequence.tag
    case .mapping(let mapping): tag = mapping.tag
    case .alias: return nil
    }
    return ["", "!", textTag].contains(tag.description) ? nil : tag.description
  }

  private static func position(of node: Node) -> SourcePosition {
    node.mark.map { SourcePosition(line: $0.line, column: $0.column) } ?? .none
  }
}
