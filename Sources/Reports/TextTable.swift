/// A table for a terminal: columns as wide as they need to be, within a width.
public struct TextTable {
  /// How a column's cells are set.
  public enum Alignment: Sendable { case left, right }

  private let headers: [String]
  private let alignments: [Alignment]
  /// The column that gives way when the table is too wide: cut in the middle, as names are told
  /// apart by their beginnings and ends.
  private let flexible: Int
  private var rows: [[String]] = []

  public init(_ columns: [(header: String, alignment: Alignment)], flexible: Int) {
    headers = columns.map(\.header)
    alignments = columns.map(\.alignment)
    self.flexible = flexible
  }

  /// Adds a line; it has a cell for every column.
  public mutating func add(_ cells: [String]) {
    precondition(cells.count == headers.count, "\(cells.count) cells for \(headers.count) columns")
    rows.append(cells)
  }

  /// What the flexible column keeps, and what another keeps after it.
  private static let leastFlexible = 12
  private static let leastOther = 8

  /// The table's text, a line break after every line.
  ///
  /// When the flexible column alone cannot make it fit, the widest of the other texts gives way;
  /// numbers never do.
  public func text(width: Int = 80) -> String {
    var widths = headers.map(\.count)
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    var excess = widths.reduce(0, +) + 2 * (widths.count - 1) - width
    if excess > 0 {
      let room = max(0, widths[flexible] - Self.leastFlexible)
      widths[flexible] -= min(room, excess)
      excess -= min(room, excess)
    }
    while excess > 0 {
      let candidates = widths.indices.filter {
        $0 != flexible && alignments[$0] == .left && widths[$0] > Self.leastOther
      }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
      widths[widest] -= 1
      excess -= 1
    }
    return ([headers] + rows).map { line($0, widths) }.joined()
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var result = ""
    for (column, cell) in cells.enumerated() {
      let text = Self.shortened(cell, to: widths[column])
      let padding = String(repeating: " ", count: max(0, widths[column] - text.count))
      if column > 0 { result += "  " }
      result += alignments[column] == .left ? text + padding : padding + text
    }
    while result.last == " " { result.removeLast() }
    return result + "\n"
  }

  /// A text cut in its middle to a number of characters.
  public static func shortened(_ text: String, to width: Int) -> String {
    // `count` walks the whole text, and a tokenizer in a file's metadata has megabytes.
    guard width > 1, text.dropFirst(width).isEmpty == false else { return text }
    let head = (width - 1) / 2
    let tail = width - 1 - head
    return text.prefix(head) + "…" + text.suffix(tail)
  }
}
