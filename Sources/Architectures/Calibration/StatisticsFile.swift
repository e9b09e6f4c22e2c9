import Checkpoints
import Tensors

/// Calibration statistics on disk: an HDF5 file that other programs can write too
/// (docs/statistics-format.md).
public enum StatisticsFile {
  /// The root attribute `format`.
  public static let format = "pith-statistics"
  /// The root attribute `version`.
  public static let version = 1

  /// Names of a site's datasets.
  enum Item: String, CaseIterable {
    case sums = "sum"
    case absoluteSums = "sum_abs"
    case squareSums = "sum_sq"
    case maxima = "max_abs"
    case gram
  }

  static let tokenCounts = "token_counts"

  /// Writes statistics; the same statistics give the same bytes.
  ///
  /// - Throws: `CheckpointError` when the file cannot be written.
  public static func write(_ statistics: CalibrationStatistics, to path: String) throws {
    let names = statistics.sites.keys.sorted()
    var children: [HDF5NamedNode] = []
    for name in names {
      guard let site = statistics.sites[name] else { continue }
      children.append(HDF5NamedNode(name, node(site)))
    }
    var root = [HDF5NamedNode("sites", .group(attributes: [:], children: children))]
    if !statistics.tokenCounts.isEmpty {
      root.append(
        HDF5NamedNode(
          tokenCounts,
          .dataset(dtype: .u64, shape: [statistics.tokenCounts.count], attributes: [:])))
    }
    let sink = try HDF5Sink(
      path: path,
      tree: .group(
        attributes: [
          "format": .string(format), "version": .int(version),
          "sequences": .int(statistics.sequences), "provenance": .string(statistics.provenance),
        ], children: root))
    for name in names {
      guard let site = statistics.sites[name] else { continue }
      let base = "sites/\(name)/"
      try put(site.sums, sink, base + Item.sums.rawValue)
      try put(site.absoluteSums, sink, base + Item.absoluteSums.rawValue)
      try put(site.squareSums, sink, base + Item.squareSums.rawValue)
      try put(site.maxima, sink, base + Item.maxima.rawValue)
      if let gram = site.gram { try put(gram.values, sink, base + Item.gram.rawValue) }
    }
    if !statistics.tokenCounts.isEmpty { try put(statistics.tokenCounts, sink, tokenCounts) }
    try sink.finish()
  }

  private static func node(_ site: InputStatistics) -> HDF5Node {
    let items = Item.allCases.compactMap { item -> HDF5NamedNode? in
      switch item {
      case .gram:
        guard site.hasGram else { return nil }
        return HDF5NamedNode(
          item.rawValue,
          .dataset(dtype: .f64, shape: [site.width, site.width], attributes: [:]))
      case .maxima:
        return HDF5NamedNode(
          item.rawValue, .dataset(dtype: .f32, shape: [site.width], attributes: [:]))
      default:
        return HDF5NamedNode(
          item.rawValue, .dataset(dtype: .f64, shape: [site.width], attributes: [:]))
      }
    }
    return .group(
      attributes: ["rows": .int(site.rows), "readers": .strings(site.readers)], children: items)
  }

  private static func put<Element: BitwiseCopyable>(
    _ values: [Element], _ sink: HDF5Sink, _ name: String
  ) throws {
    let bytes = Bytes(values)
    try sink.write(bytes.buffer, to: name, at: 0)
  }
}
