/// A place in a recipe's text; lines and columns start from 1, columns count Unicode scalars.
public struct SourcePosition: Sendable, Hashable, Comparable {
  public var line: Int
  public var column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// The place of what was made by a program, not read from a file.
  public static let none = SourcePosition(line: 0, column: 0)

  public static func < (left: SourcePosition, right: SourcePosition) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }
}

/// A value that travels with another but is no part of what that one means.
///
/// Two of them are always equal, so that a type which carries one keeps its synthesised equality:
/// a recipe is the same recipe when a line break moves its stages.
@propertyWrapper
public struct Incidental<Value: Sendable>: Sendable, Hashable {
  public var wrappedValue: Value
  public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
  public static func == (left: Self, right: Self) -> Bool { true }
  public func hash(into hasher: inout Hasher) {}
}
