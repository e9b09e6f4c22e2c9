import Checkpoints
import LinearAlgebra
import Tensors

extension StatisticsFile {
  /// Reads statistics, whoever wrote them: f32 and f64 are both taken.
  ///
  /// - Throws: `ArchitectureError.statisticsMalformed` naming what is missing or misshaped,
  ///   `CheckpointError` for a damaged file.
  public static func read(_ path: String) throws -> CalibrationStatistics {
    let file = try HDF5File(path: path)
    let attributes = file.root.attributes
    guard attributes["format"]?.string == format else {
      throw malformed(
        path, "format", attributes["format"]?.string.map { "'\($0)'" } ?? "missing",
        "'\(format)'")
    }
    guard attributes["version"]?.int == version else {
      throw malformed(
        path, "version", attributes["version"]?.int.map(String.init) ?? "missing", "\(version)")
    }
    guard let sites = file.root.group("sites") else {
      throw malformed(path, "sites", "missing", "a group")
    }
    var result = CalibrationStatistics(
      sequences: attributes["sequences"]?.int ?? 0,
      provenance: attributes["provenance"]?.string ?? "")
    let source = try HDF5Source(file: file)
    for child in sites.children {
      guard case .group(let group) = child.content else {
        throw malformed(path, "sites/\(child.name)", "no group", "a group")
      }
      result.sites[child.name] = try site(group, child.name, source)
    }
    if let counts = source.tensor(named: tokenCounts) {
      guard counts.shape.rank == 1, counts.dtype == .u64 || counts.dtype == .i64 else {
        throw malformed(
          path, tokenCounts, "\(counts.shape) \(counts.dtype.rawValue)", "u64 of one axis")
      }
      result.tokenCounts = try source.load(counts).bytes.array(of: UInt64.self)
    }
    return result
  }

  private static func site(
    _ group: HDF5Group, _ name: String, _ source: HDF5Source
  ) throws -> InputStatistics {
    let base = "sites/\(name)/"
    guard let rows = group.attributes["rows"]?.int, rows >= 0 else {
      throw malformed(source.path, base + "rows", "missing", "the number of rows, an attribute")
    }
    guard let first = source.tensor(named: base + Item.squareSums.rawValue),
      first.shape.rank == 1
    else {
      throw malformed(
        source.path, base + Item.squareSums.rawValue, "missing", "one number per input")
    }
    let width = first.shape.elementCount
    func values(_ item: Item, _ shape: [Int]) throws -> [Double]? {
      guard let tensor = source.tensor(named: base + item.rawValue) else { return nil }
      guard tensor.shape.dimensions == shape, [.f32, .f64].contains(tensor.dtype) else {
        throw malformed(
          source.path, base + item.rawValue,
          "\(tensor.dtype.rawValue) of \(tensor.shape.dimensions)", "f32 or f64 of \(shape)")
      }
      let values =
        tensor.dtype == .f64
        ? try doubles(tensor, source) : try source.load(tensor).floats().map(Double.init)
      guard Finiteness.firstNonFinite(values) == nil else {
        throw malformed(source.path, base + item.rawValue, "not finite", "finite numbers")
      }
      return values
    }
    func required(_ item: Item) throws -> [Double] {
      guard let found = try values(item, [width]) else {
        throw malformed(source.path, base + item.rawValue, "missing", "one number per input")
      }
      return found
    }
    var gram = try values(.gram, [width, width])
    if var whole = gram.take() {
      InputStatistics.mirror(&whole, width: width)
      gram = whole
    }
    return InputStatistics(
      site: name, readers: group.attributes["readers"]?.strings ?? [name], rows: rows,
      sums: try required(.sums), absoluteSums: try required(.absoluteSums),
      squareSums: try required(.squareSums), maxima: try required(.maxima).map { Float($0) },
      gram: gram.map { Matrix(rows: width, columns: width, values: $0) })
  }

  /// A tensor of f64 read where it stays: a Gram matrix is large enough for a copy to count.
  private static func doubles(_ tensor: TensorDescription, _ source: HDF5Source) throws -> [Double]
  {
    try Array(unsafeUninitializedCapacity: tensor.shape.elementCount) { target, initialized in
      try source.read(
        tensor, rows: 0..<tensor.shape.rows, into: UnsafeMutableRawBufferPointer(target))
      initialized = target.count
    }
  }

  private static func malformed(
    _ path: String, _ item: String, _ found: String, _ expected: String
  ) -> ArchitectureError {
    .statisticsMalformed(path: path, item: item, found: found, expected: expected)
  }
}
