import Tensors

extension CompressedWeight {
  /// A weight from named tensors that came from a file; everything is checked.
  ///
  /// - Throws: a `WeightsError` that names the part or the attribute.
  public init(decoding encoded: EncodedWeight) throws(WeightsError) {
    var reader = PartReader(encoded)
    let view = try reader.view()
    let base = try reader.base("base")
    let mask = try reader.mask()
    let outliers = try reader.outliers()
    let lowRank = try reader.lowRank()
    let site = try reader.site()
    try reader.expectNothingLeft()
    self.init(
      view: view, base: base, mask: mask, outliers: outliers, lowRank: lowRank, site: site)
    try validate()
  }
}

/// Takes a weight's parts one by one, so that what is left at the end is known to be wrong.
private struct PartReader {
  private typealias Name = EncodedWeight.Name
  private let attributes: [String: AttributeValue]
  private var parts: [String: EncodedWeight.Part] = [:]
  private var repeated: String?

  init(_ encoded: EncodedWeight) {
    attributes = encoded.attributes
    for part in encoded.parts where parts.updateValue(part, forKey: part.path) != nil {
      repeated = part.path
    }
  }

  mutating func take(_ path: String) -> EncodedWeight.Part? { parts.removeValue(forKey: path) }

  mutating func need(_ path: String) throws(WeightsError) -> EncodedWeight.Part {
    guard let part = take(path) else { throw .missingPart(path) }
    return part
  }

  func expectNothingLeft() throws(WeightsError) {
    if let path = repeated ?? parts.keys.min() { throw .unexpectedPart(path) }
  }

  func view() throws(WeightsError) -> WeightView {
    let version = try int(attributes, Name.version, part: "")
    guard version <= EncodedWeight.version else {
      throw .unknownVersion(found: version, newest: EncodedWeight.version)
    }
    guard version >= 1 else {
      throw .attribute(
        part: "", name: Name.version, expected: "1 or more", found: "\(version)")
    }
    guard let dimensions = attributes[Name.sourceShape]?.ints else {
      throw .missingAttribute(part: "", name: Name.sourceShape)
    }
    guard let shape = try? Shape(checking: dimensions), shape.rank >= 2 else {
      throw .attribute(
        part: "", name: Name.sourceShape, expected: "at least two extents", found: "\(dimensions)")
    }
    let layout = try string(attributes, Name.layout, part: "")
    guard let known = WeightView.Layout(rawValue: layout) else {
      let names = WeightView.Layout.allCases.map(\.rawValue).joined(separator: " or ")
      throw .attribute(part: "", name: Name.layout, expected: names, found: layout)
    }
    return WeightView(sourceShape: shape, layout: known)
  }

  mutating func mask() throws(WeightsError) -> Mask? {
    guard let part = take("mask/bitmap") else { return nil }
    return Mask(bits: part.tensor, claim: try claim(part))
  }

  /// What a part says was asked of it.
  private func claim(_ part: EncodedWeight.Part) throws(WeightsError) -> SparsityClaim? {
    guard part.attributes[Name.sparsity] != nil else { return nil }
    let text = try string(part.attributes, Name.sparsity, part: part.path)
    guard let claim = SparsityClaim(text) else {
      throw .attribute(
        part: part.path, name: Name.sparsity,
        expected: "'N:M', or a fraction 'of the row' or 'of the matrix'", found: text)
    }
    return claim
  }

  /// A base below a path; nil when nothing of one is there.
  mutating func base(_ path: String) throws(WeightsError) -> Base? {
    if let sparse = try sparse(path) { return .sparse(sparse) }
    if let dense = take(path + "/values") {
      let tensor = dense.tensor
      let types: [DType] = [.f32, .f16, .bf16, .f64]
      guard types.contains(tensor.dtype) else {
        throw .elementType(part: dense.path, expected: types, found: tensor.dtype)
      }
      guard tensor.shape.rank == 2 else {
        throw .shape(
          part: dense.path, expected: [tensor.shape.rows, tensor.shape.rowElementCount],
          found: tensor.shape.dimensions)
      }
      return .dense(DenseBase(values: tensor))
    }
    if let blocks = take(path + "/blocks") { return try self.blocks(blocks) }
    if let members = take(path + "/members") { return .mixed(try mixed(path, members)) }
    if let planes = take(path + "/planes") { return try self.planes(path, planes) }
    guard let codes = take(path + "/codes") else { return nil }
    if codes.attributes[Name.format] != nil { return try table(path, codes) }
    let scales = try need(path + "/scales").tensor
    let zeros = take(path + "/zeros")?.tensor
    let grid = try self.grid(
      codes, packing: EncodedWeight.packing, scaleType: scales.dtype, scales: path + "/scales")
    let columns = try width(codes)
    return .integer(
      IntegerBase(
        grid: grid, rows: codes.tensor.shape.rows, columns: columns, codes: codes.tensor,
        scales: scales, zeros: zeros))
  }

  /// The width in codes.
  private func width(_ codes: EncodedWeight.Part) throws(WeightsError) -> Int {
    let columns = try int(codes.attributes, Name.columns, part: codes.path)
    guard columns >= 0, columns < 1 << 40 else {
      throw .attribute(
        part: codes.path, name: Name.columns, expected: "a width", found: "\(columns)")
    }
    return columns
  }

  /// A base of ggml's blocks.
  private func blocks(_ part: EncodedWeight.Part) throws(WeightsError) -> Base {
    let name = try string(part.attributes, Name.format, part: part.path)
    guard let format = BlockFormat(rawValue: name) else {
      throw .attribute(
        part: part.path, name: Name.format,
        expected: BlockFormat.allCases.map(\.rawValue).joined(separator: ", "), found: name)
    }
    let columns = try width(part)
    return .blocks(
      BlockBase(
        format: format, rows: part.tensor.shape.rows, columns: columns, blocks: part.tensor))
  }

  /// Groups of inputs in classes, each a base of its own.
  private mutating func mixed(
    _ path: String, _ members: EncodedWeight.Part
  ) throws(WeightsError) -> MixedBase {
    let group = try int(members.attributes, Name.group, part: members.path)
    let rows = try int(members.attributes, Name.rows, part: members.path)
    let columns = try width(members)
    var classes: [Base] = []
    // Bounds the depth of what a file can ask for.
    if path != "base" { throw .unexpectedPart(members.path) }
    while let next = try base("\(path)/\(classes.count)") { classes.append(next) }
    return MixedBase(
      rows: rows, columns: columns, group: group, members: members.tensor, classes: classes)
  }

  /// A base of ±1 planes.
  private mutating func planes(
    _ path: String, _ codes: EncodedWeight.Part
  ) throws(WeightsError) -> Base {
    let scales = try need(path + "/scales").tensor
    let packing = try string(codes.attributes, Name.packing, part: codes.path)
    guard packing == EncodedWeight.packing else {
      throw .attribute(
        part: codes.path, name: Name.packing, expected: EncodedWeight.packing, found: packing)
    }
    let scheme = try PlaneScheme(
      planes: int(codes.attributes, Name.planes, part: codes.path),
      granularity: granularity(codes), scaleType: scales.dtype)
    return .planes(
      PlaneBase(
        scheme: scheme, rows: codes.tensor.shape.rows, columns: try width(codes),
        codes: codes.tensor, scales: scales))
  }

  /// A base of a table format.
  private mutating func table(
    _ path: String, _ codes: EncodedWeight.Part
  ) throws(WeightsError) -> Base {
    let scales = try need(path + "/scales").tensor
    let factors = take(path + "/factors")?.tensor
    let found = codes.attributes
    let name = try string(found, Name.format, part: codes.path)
    let exponent = found[Name.exponent]?.double.map(Float.init)
    let format: NumberFormat
    do { format = try NumberFormat(name: name, exponent: exponent) } catch {
      throw .attribute(
        part: codes.path, name: Name.format, expected: "a number format",
        found: exponent.map { "\(name) with exponent \($0)" } ?? name)
    }
    let scaleName = try string(found, Name.scaleFormat, part: codes.path)
    guard let scaleFormat = ScaleFormat(rawValue: scaleName) else {
      throw .attribute(
        part: codes.path, name: Name.scaleFormat,
        expected: ScaleFormat.allCases.map(\.rawValue).joined(separator: ", "), found: scaleName)
    }
    let packingName = try string(found, Name.packing, part: codes.path)
    guard let packing = CodePacking(rawValue: packingName) else {
      throw .attribute(
        part: codes.path, name: Name.packing,
        expected: CodePacking.allCases.map(\.rawValue).joined(separator: ", "),
        found: packingName)
    }
    let offset = found[Name.scaleOffset]
    guard (offset != nil) == (scaleFormat == .dynamic8), let number = (offset ?? .double(0)).double
    else {
      throw .attribute(
        part: codes.path, name: Name.scaleOffset,
        expected: scaleFormat == .dynamic8 ? "a number" : "nothing",
        found: offset.map { "\($0)" } ?? "nothing")
    }
    return .table(
      TableBase(
        grid: try TableGrid(
          format: format, granularity: try granularity(codes), scaleFormat: scaleFormat,
          packing: packing),
        rows: codes.tensor.shape.rows, columns: try width(codes), codes: codes.tensor,
        scales: scales, factors: factors, offset: Float(number)))
  }

  /// A base of survivors below a path; nil when there are none.
  private mutating func sparse(_ path: String) throws(WeightsError) -> SparseBase? {
    guard let survivors = take(path + "/survivors") else { return nil }
    let (positions, part) = try positions(path + "/kept")
    let rows = try int(part.attributes, Name.rows, part: part.path)
    let columns = try int(part.attributes, Name.columns, part: part.path)
    guard rows >= 0, rows < 1 << 40, columns >= 0, columns < 1 << 40 else {
      throw .attribute(
        part: part.path, name: Name.columns, expected: "a size", found: "\(rows) × \(columns)")
    }
    let claim = try claim(part)
    if survivors.tensor.dtype.isFloatingPoint {
      return try SparseBase(
        rows: rows, columns: columns, positions: positions, survivors: .dense(survivors.tensor),
        claim: claim, part: path)
    }
    let scales = try need(path + "/scales").tensor
    let zeros = take(path + "/zeros")?.tensor
    let grid = try self.grid(
      survivors, packing: EncodedWeight.streamPacking, scaleType: scales.dtype,
      scales: path + "/scales")
    return try SparseBase(
      rows: rows, columns: columns, positions: positions,
      survivors: .integer(grid, codes: survivors.tensor, scales: scales, zeros: zeros),
      claim: claim, part: path)
  }

  /// Where survivors belong, and the part that says so.
  private mutating func positions(
    _ path: String
  ) throws(WeightsError) -> (SparsePositions, EncodedWeight.Part) {
    if let part = take(path + "/bitmap") { return (.bitmap(part.tensor), part) }
    if let part = take(path + "/patterns") {
      let keep = try int(part.attributes, Name.keep, part: part.path)
      let of = try int(part.attributes, Name.of, part: part.path)
      return (.patterns(keep: keep, of: of, numbers: part.tensor), part)
    }
    let part = try need(path + "/gaps")
    return (.gaps(part.tensor, counts: try need(path + "/counts").tensor), part)
  }

  private func grid(
    _ codes: EncodedWeight.Part, packing expected: String, scaleType: DType, scales: String
  ) throws(WeightsError) -> IntegerGrid {
    let found = codes.attributes
    let bits = try int(found, Name.bits, part: codes.path)
    guard (2...8).contains(bits) else {
      throw .attribute(part: codes.path, name: Name.bits, expected: "2 to 8", found: "\(bits)")
    }
    let symmetric = try int(found, Name.symmetric, part: codes.path)
    guard symmetric == 0 || symmetric == 1 else {
      throw .attribute(
        part: codes.path, name: Name.symmetric, expected: "0 or 1", found: "\(symmetric)")
    }
    let packing = try string(found, Name.packing, part: codes.path)
    guard packing == expected else {
      throw .attribute(part: codes.path, name: Name.packing, expected: expected, found: packing)
    }
    let types: [DType] = [.f32, .f16, .bf16]
    guard types.contains(scaleType) else {
      throw .elementType(part: scales, expected: types, found: scaleType)
    }
    return IntegerGrid(
      bits: bits, symmetric: symmetric == 1, granularity: try granularity(codes),
      scaleType: scaleType)
  }

  private func granularity(_ codes: EncodedWeight.Part) throws(WeightsError) -> Granularity {
    let name = try string(codes.attributes, Name.granularity, part: codes.path)
    switch name {
    case "tensor": return .tensor
    case "channel": return .channel
    case "group":
      let size = try int(codes.attributes, Name.group, part: codes.path)
      guard size >= 1 else {
        throw .attribute(
          part: codes.path, name: Name.group, expected: "1 or more", found: "\(size)")
      }
      return .group(size)
    default:
      throw .attribute(
        part: codes.path, name: Name.granularity, expected: "tensor, channel or group",
        found: name)
    }
  }

  mutating func outliers() throws(WeightsError) -> Outliers? {
    guard let columns = take("outliers/columns") else { return nil }
    return Outliers(columns: columns.tensor, values: try need("outliers/values").tensor)
  }

  mutating func lowRank() throws(WeightsError) -> [LowRankPath] {
    guard let value = attributes[Name.lowRankScales] else { return [] }
    let scales: [Double]
    switch value {
    case .doubles(let list): scales = list
    case .double(let one): scales = [one]
    default:
      throw .attribute(
        part: "", name: Name.lowRankScales, expected: "numbers", found: "\(value)")
    }
    var paths: [LowRankPath] = []
    for (index, scale) in scales.enumerated() {
      let name = "low_rank/\(index)"
      guard let b = try base(name + "/b") else { throw .missingPart(name + "/b") }
      guard let a = try base(name + "/a") else { throw .missingPart(name + "/a") }
      let sigma = take(name + "/sigma")?.tensor
      paths.append(LowRankPath(b: b, a: a, sigma: sigma, scale: Float(scale)))
    }
    return paths
  }

  mutating func site() throws(WeightsError) -> Site? {
    let activations = try ActivationScheme.reading(attributes)
    guard let value = attributes[Name.transforms] else {
      return activations.map { Site(activations: $0) }
    }
    guard let kinds = value.strings else {
      throw .attribute(part: "", name: Name.transforms, expected: "names", found: "\(value)")
    }
    var transforms: [InputTransform] = []
    for (index, kind) in kinds.enumerated() {
      switch kind {
      case "scale": transforms.append(.scale(try need("site/\(index)/scale").tensor))
      case "permutation":
        transforms.append(.permutation(try need("site/\(index)/permutation").tensor))
      case "hadamard":
        let part = try need("site/\(index)/hadamard")
        transforms.append(
          .hadamard(
            try HadamardTransform(
              signs: part.tensor, factor: int(part.attributes, Name.factor, part: part.path),
              power: int(part.attributes, Name.power, part: part.path), part: part.path)))
      default:
        throw .attribute(
          part: "site/\(index)", name: Name.transforms,
          expected: "scale, permutation or hadamard", found: kind)
      }
    }
    return Site(transforms: transforms, activations: activations)
  }

  private func int(
    _ found: [String: AttributeValue], _ name: String, part: String
  ) throws(WeightsError) -> Int {
    guard let value = found[name] else { throw .missingAttribute(part: part, name: name) }
    guard let int = value.int else {
      throw .attribute(part: part, name: name, expected: "a whole number", found: "\(value)")
    }
    return int
  }

  private func string(
    _ found: [String: AttributeValue], _ name: String, part: String
  ) throws(WeightsError) -> String {
    guard let value = found[name] else { throw .missingAttribute(part: part, name: name) }
    guard let string = value.string else {
      throw .attribute(part: part, name: name, expected: "a text", found: "\(value)")
    }
    return string
  }
}
