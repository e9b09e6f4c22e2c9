import JSONText

/// One key of a mapping in a recipe: its name, type, default, range and explanation.
struct OptionDeclaration<Root: Sendable>: Sendable {
  /// Whether the key must be there.
  enum Presence: Sendable, Hashable {
    case required
    case optional
    /// Exactly one of the keys that name the same thing must be there.
    case alternative(of: String)
  }

  let name: String
  let presence: Presence
  let summary: String
  let schema: JSONValue
  let expected: String
  /// Reads a value into a root; reports what is wrong with it.
  let read: @Sendable (YAMLValue, _ owner: String, inout Root, inout DiagnosticSink) -> Void
  /// The value that a root holds; nil when it holds none.
  let write: @Sendable (Root) -> JSONValue?
}

extension OptionDeclaration {
  private init<Value>(
    _ name: String, _ presence: Presence, _ codec: OptionCodec<Value>, _ summary: String,
    get: @escaping @Sendable (Root) -> Value?, set: @escaping @Sendable (inout Root, Value) -> Void
  ) {
    self.init(
      name: name, presence: presence, summary: summary, schema: codec.schema,
      expected: codec.expected,
      read: { value, owner, root, sink in
        if let decoded = codec.read(value, owner, &sink) {
          set(&root, decoded)
        } else {
          sink.report(value, isNot: codec, name: name, owner: owner)
        }
      },
      write: { get($0).map(codec.encode) })
  }

  /// A key that must be there.
  static func required<Value>(
    _ name: String, _ path: WritableKeyPath<Root, Value> & Sendable, _ codec: OptionCodec<Value>,
    _ summary: String
  ) -> Self {
    Self(
      name, .required, codec, summary, get: { $0[keyPath: path] }, set: { $0[keyPath: path] = $1 })
  }

  /// A key with a default.
  static func optional<Value>(
    _ name: String, _ path: WritableKeyPath<Root, Value> & Sendable, _ codec: OptionCodec<Value>,
    _ summary: String
  ) -> Self {
    Self(
      name, .optional, codec, summary, get: { $0[keyPath: path] }, set: { $0[keyPath: path] = $1 })
  }

  /// A key whose absence is a value of its own.
  static func optional<Value>(
    _ name: String, _ path: WritableKeyPath<Root, Value?> & Sendable, _ codec: OptionCodec<Value>,
    _ summary: String
  ) -> Self {
    Self(
      name, .optional, codec, summary, get: { $0[keyPath: path] }, set: { $0[keyPath: path] = $1 })
  }

  /// One of several keys for the same thing, of which exactly one must be there.
  static func alternative<Value>(
    _ name: String, of subject: String, _ codec: OptionCodec<Value>, _ summary: String,
    get: @escaping @Sendable (Root) -> Value?, set: @escaping @Sendable (inout Root, Value) -> Void
  ) -> Self {
    Self(name, .alternative(of: subject), codec, summary, get: get, set: set)
  }
}

/// A mapping in a recipe that is read and written by its declarations.
protocol DeclaredBlock: Sendable, Hashable {
  /// Every key of the mapping, in the order of the reference.
  static var options: [OptionDeclaration<Self>] { get }
  /// Every default; a placeholder where there is none.
  static var defaults: Self { get }
  /// Fills in what follows from the keys that were given.
  mutating func settle(given: Set<String>)
}

extension DeclaredBlock {
  mutating func settle(given: Set<String>) {}
}

/// The options of a stage.
protocol StageOptions: DeclaredBlock {
  /// What names the stage in a recipe.
  static var key: String { get }
  /// One sentence for the reference.
  static var summary: String { get }
  var position: SourcePosition { get set }
}
