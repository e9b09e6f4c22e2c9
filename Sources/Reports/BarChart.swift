/// Horizontal bars as inline SVG.
enum BarChart {
  /// A chart of named values, in the order given.
  ///
  /// - Parameters:
  ///   - bars: names and non-negative values; names are cut to fit.
  ///   - label: what the values are.
  ///   - format: how a value is written beside its bar.
  static func svg(
    _ bars: [(name: String, value: Double)], label: String,
    format: (Double) -> String = { Format.significant($0, 3) }
  ) -> String {
    let rowHeight = 18
    let nameWidth = 330
    let barWidth = 430
    let height = bars.count * rowHeight + 24
    let maximum = bars.map(\.value).filter(\.isFinite).max() ?? 0
    var svg =
      "<svg viewBox=\"0 0 \(nameWidth + barWidth + 110) \(height)\" role=\"img\" "
      + "aria-label=\"\(HTMLReport.escaped(label))\">\n"
    svg += "<text x=\"\(nameWidth)\" y=\"12\">\(HTMLReport.escaped(label))</text>\n"
    for (index, bar) in bars.enumerated() {
      let top = 20 + index * rowHeight
      let share = maximum > 0 && bar.value.isFinite ? bar.value / maximum : 0
      let width = Format.fixed(share * Double(barWidth), 1)
      let name = HTMLReport.escaped(TextTable.shortened(bar.name, to: 46))
      svg +=
        "<text x=\"\(nameWidth - 8)\" y=\"\(top + 12)\" text-anchor=\"end\">\(name)</text>"
        + "<rect x=\"\(nameWidth)\" y=\"\(top + 2)\" width=\"\(width)\" height=\"13\" rx=\"2\" "
        + "fill=\"#3b7dd8\"/>"
        + "<text x=\"\(Format.fixed(Double(nameWidth) + share * Double(barWidth) + 6, 1))\" y=\"\(top + 12)\">"
        + "\(format(bar.value))</text>\n"
    }
    return svg + "</svg>\n"
  }
}
