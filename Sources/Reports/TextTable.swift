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

  /// The table's text, a line break after every line.
  public func text(width: Int = 80) -> String {
    var widths = headers.map(\.count)
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    let total = widths.reduce(0, +) + 2 * (widths.count - 1)
    if total > width {
      widths[flexible] = max(12, widths[flexible] - (total - width))
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
    guard text.count > width, width > 1 else { return text }
    let head = (width - 1) / 2
    let tail = width - 1 - head
    return text.prefix(head) + "…" + text.suffix(tail)
  }
}
