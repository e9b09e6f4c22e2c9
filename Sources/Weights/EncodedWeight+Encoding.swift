import Tensors

extension CompressedWeight {
  /// The weight as named tensors, sharing its payloads.
  public func encodedParts() -> EncodedWeight {
    typealias Name = EncodedWeight.Name
    var attributes: [String: AttributeValue] = [
      Name.version: .int(layoutVersion),
      Name.sourceShape: .ints(view.sourceShape.dimensions),
      Name.layout: .string(view.layout.rawValue),
    ]
    var parts = base?.encodedParts(path: "base") ?? []
    if let mask {
      var described: [String: AttributeValue] = [Name.columns: .int(columns)]
      if let claim = mask.claim { described[Name.sparsity] = .string(claim.description) }
      parts.append(.init(path: "mask/bitmap", tensor: mask.bits, attributes: described))
    }
    if let outliers {
      parts.append(.init(path: "outliers/columns", tensor: outliers.columns))
      parts.append(.init(path: "outliers/values", tensor: outliers.values))
    }
    for (index, path) in lowRank.enumerated() {
      let name = "low_rank/\(index)"
      parts += path.b.encodedParts(path: name + "/b")
      parts += path.a.encodedParts(path: name + "/a")
      if let sigma = path.sigma { parts.append(.init(path: name + "/sigma", tensor: sigma)) }
    }
    if !lowRank.isEmpty {
      attributes[Name.lowRankScales] = .doubles(lowRank.map { Double($0.scale) })
    }
    let transforms = site?.transforms ?? []
    for (index, transform) in transforms.enumerated() {
      parts.append(
        .init(
          path: "site/\(index)/\(transform.kind)", tensor: transform.payload,
          attributes: transform.attributes))
    }
    if !transforms.isEmpty { attributes[Name.transforms] = .strings(transforms.map(\.kind)) }
    attributes.merge(site?.activations?.attributes ?? [:]) { own, _ in own }
    return EncodedWeight(attributes: attributes, parts: parts)
  }
}

extension CompressedWeight {
  /// The oldest layout that has everything this weight holds: older programs still read what they
  /// know.
  private var layoutVersion: Int {
    let bases = [base].compactMap { $0 } + lowRank.flatMap { [$0.b, $0.a] }
    let isTurned = site?.transforms.contains { if case .hadamard = $0 { true } else { false } }
    return max(bases.map(\.layoutVersion).max() ?? 1, isTurned == true ? 2 : 1)
  }
}

extension Base {
  fileprivate var layoutVersion: Int {
    switch self {
    case .dense, .integer: 1
    case .table, .blocks, .sparse, .mixed, .planes: 2
    }
  }

  /// The granularity and group, as attributes of the codes.
  static func attributes(of granularity: Granularity) -> [String: AttributeValue] {
    typealias Name = EncodedWeight.Name
    return switch granularity {
    case .tensor: [Name.granularity: .string("tensor")]
    case .channel: [Name.granularity: .string("channel")]
    case .group(let size): [Name.granularity: .string("group"), Name.group: .int(size)]
    }
  }
}

extension InputTransform {
  /// The name of the transform in a file.
  var kind: String {
    switch self {
    case .scale: "scale"
    case .permutation: "permutation"
    case .hadamard: "hadamard"
    }
  }

  /// What the payload needs to be understood.
  var attributes: [String: AttributeValue] {
    guard case .hadamard(let transform) = self else { return [:] }
    return [
      EncodedWeight.Name.factor: .int(transform.rotation.structure.factor),
      EncodedWeight.Name.power: .int(transform.rotation.structure.power),
    ]
  }
}

extension Base {
  func encodedParts(path: String) -> [EncodedWeight.Part] {
    switch self {
    case .dense(let dense): [.init(path: path + "/values", tensor: dense.values)]
    case .integer(let integer): integer.encodedParts(path: path)
    case .sparse(let sparse): sparse.encodedParts(path: path)
    case .table(let table): table.encodedParts(path: path)
    case .blocks(let blocks): blocks.encodedParts(path: path)
    case .mixed(let mixed): mixed.encodedParts(path: path)
    case .planes(let planes): planes.encodedParts(path: path)
    }
  }
}

extension IntegerBase {
  func encodedParts(path: String) -> [EncodedWeight.Part] {
    typealias Name = EncodedWeight.Name
    var parts: [EncodedWeight.Part] = [
      .init(
        path: path + "/codes", tensor: codes,
        attributes: grid.attributes(columns: columns, packing: EncodedWeight.packing)),
      .init(path: path + "/scales", tensor: scales),
    ]
    if let zeros { parts.append(.init(path: path + "/zeros", tensor: zeros)) }
    return parts
  }
}

extension IntegerGrid {
  /// How to read codes on the grid.
  func attributes(columns: Int, packing: String) -> [String: AttributeValue] {
    typealias Name = EncodedWeight.Name
    var attributes: [String: AttributeValue] = [
      Name.bits: .int(bits),
      Name.symmetric: .int(symmetric ? 1 : 0),
      Name.columns: .int(columns),
      Name.packing: .string(packing),
    ]
    attributes.merge(Base.attributes(of: granularity)) { $1 }
    return attributes
  }
}

extension SparseBase {
  func encodedParts(path: String) -> [EncodedWeight.Part] {
    typealias Name = EncodedWeight.Name
    var described: [String: AttributeValue] = [
      Name.columns: .int(columns), Name.rows: .int(rows),
    ]
    if let claim { described[Name.sparsity] = .string(claim.description) }
    var parts: [EncodedWeight.Part] = []
    switch positions {
    case .bitmap(let bits):
      parts.append(.init(path: path + "/kept/bitmap", tensor: bits, attributes: described))
    case .patterns(let keep, let of, let numbers):
      described[Name.keep] = .int(keep)
      described[Name.of] = .int(of)
      parts.append(.init(path: path + "/kept/patterns", tensor: numbers, attributes: described))
    case .gaps(let gaps, let counts):
      parts.append(.init(path: path + "/kept/gaps", tensor: gaps, attributes: described))
      parts.append(.init(path: path + "/kept/counts", tensor: counts))
    }
    switch survivors {
    case .dense(let values): parts.append(.init(path: path + "/survivors", tensor: values))
    case .integer(let grid, let codes, let scales, let zeros):
      parts.append(
        .init(
          path: path + "/survivors", tensor: codes,
          attributes: grid.attributes(columns: columns, packing: EncodedWeight.streamPacking)))
      parts.append(.init(path: path + "/scales", tensor: scales))
      if let zeros { parts.append(.init(path: path + "/zeros", tensor: zeros)) }
    }
    return parts
  }
}
