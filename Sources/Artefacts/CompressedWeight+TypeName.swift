import Tensors
import Weights

extension CompressedWeight {
  /// What the weight is stored as, in a few words.
  public var typeName: String {
    var parts: [String] = []
    switch base {
    case .dense(let dense)?: parts.append(dense.values.dtype.rawValue)
    case .integer(let integer)?: parts.append(integer.grid.typeName)
    case .sparse(let sparse)?:
      switch sparse.survivors {
      case .dense(let values): parts.append(values.dtype.rawValue)
      case .integer(let grid, _, _, _): parts.append(grid.typeName)
      }
    case .table(let table)?: parts.append(table.grid.description)
    case .blocks(let blocks)?: parts.append(blocks.format.rawValue)
    case .mixed(let mixed)?:
      parts.append(
        mixed.classes.map { CompressedWeight(view: view, base: $0).typeName }
          .joined(separator: " + "))
    case .planes(let planes)?: parts.append("\(planes.scheme)")
    case nil: break
    }
    if let pattern = pattern {
      parts.append("\(pattern)")
    } else if mask != nil || maskedFraction > 0 {
      parts.append("sparse \(Int((maskedFraction * 100).rounded()))%")
    }
    if let outliers { parts.append("\(outliers.count) columns") }
    for path in lowRank { parts.append("+r\(path.rank)") }
    if site?.transforms.isEmpty == false { parts.append("scaled") }
    if let activations = site?.activations { parts.append("inputs \(activations.name)") }
    return parts.joined(separator: ", ")
  }
}

extension CompressedWeight {
  /// The N:M pattern that the weight keeps, when one was asked for.
  private var pattern: SparsityClaim? {
    var claim = mask?.claim
    if case .sparse(let sparse)? = base { claim = sparse.claim }
    return claim.flatMap { $0.isPattern ? $0 : nil }
  }
}

extension IntegerGrid {
  fileprivate var typeName: String {
    let name = "int\(bits)" + (symmetric ? "" : " asym")
    switch granularity {
    case .tensor: return name + " tensor"
    case .channel: return name + " channel"
    case .group(let length): return name + " g\(length)"
    }
  }
}
