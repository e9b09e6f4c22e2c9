/// A pattern that covers whole names.
///
/// `*` stands for any run of characters, dots and slashes too, `?` for one, `[ab]`, `[a-z]` and
/// `[!a]` for one of a class or not of it; what follows `\` stands for itself.
struct Glob: Sendable {
  enum Element: Sendable, Hashable {
    case literal(Unicode.Scalar)
    case one
    case run
    case oneOf([ClosedRange<Unicode.Scalar>], negated: Bool)

    func accepts(_ scalar: Unicode.Scalar) -> Bool {
      switch self {
      case .literal(let own): own == scalar
      case .one: true
      case .run: false
      case .oneOf(let ranges, let negated): ranges.contains { $0.contains(scalar) } != negated
      }
    }
  }

  static let maximumBytes = 4096
  let elements: [Element]

  init(_ text: String) throws(SelectorError) {
    guard !text.isEmpty else { throw .empty }
    guard text.utf8.count <= Self.maximumBytes else {
      throw .tooLong(bytes: text.utf8.count, limit: Self.maximumBytes)
    }
    let scalars = Array(text.unicodeScalars)
    var elements: [Element] = []
    var index = 0
    while index < scalars.count {
      switch scalars[index] {
      case "*":
        if elements.last != .run { elements.append(.run) }
      case "?": elements.append(.one)
      case "[": elements.append(try Self.characterClass(scalars, &index))
      case "\\":
        guard index + 1 < scalars.count else {
          throw .glob(problem: "'\\' escapes nothing", offset: index)
        }
        index += 1
        elements.append(.literal(scalars[index]))
      default: elements.append(.literal(scalars[index]))
      }
      index += 1
    }
    self.elements = elements
  }

  /// The class that opens at `index`, which is left at its `]`.
  private static func characterClass(
    _ scalars: [Unicode.Scalar], _ index: inout Int
  ) throws(SelectorError) -> Element {
    let start = index
    index += 1
    var negated = false
    if index < scalars.count, scalars[index] == "!" || scalars[index] == "^" {
      negated = true
      index += 1
    }
    var ranges: [ClosedRange<Unicode.Scalar>] = []
    while index < scalars.count, scalars[index] != "]" {
      let low = scalars[index]
      if index + 2 < scalars.count, scalars[index + 1] == "-", scalars[index + 2] != "]" {
        let high = scalars[index + 2]
        guard low <= high else {
          throw .glob(problem: "the range '\(low)-\(high)' runs backwards", offset: index)
        }
        ranges.append(low...high)
        index += 3
      } else {
        ranges.append(low...low)
        index += 1
      }
    }
    guard index < scalars.count else { throw .glob(problem: "'[' is not closed", offset: start) }
    guard !ranges.isEmpty else { throw .glob(problem: "'[]' is empty", offset: start) }
    return .oneOf(ranges, negated: negated)
  }

  /// Whether the pattern covers the whole name.
  ///
  /// Only the last `*` needs to be tried again, so the time is at most pattern × name.
  func matches(_ name: String) -> Bool {
    let scalars = Array(name.unicodeScalars)
    var element = 0, position = 0
    var retry: (element: Int, position: Int)?
    while position < scalars.count {
      if element < elements.count, elements[element] == .run {
        retry = (element + 1, position)
        element += 1
      } else if element < elements.count, elements[element].accepts(scalars[position]) {
        element += 1
        position += 1
      } else if let last = retry {
        retry = (last.element, last.position + 1)
        (element, position) = (last.element, last.position + 1)
      } else {
        return false
      }
    }
    return elements[element...].allSatisfy { $0 == .run }
  }
}
