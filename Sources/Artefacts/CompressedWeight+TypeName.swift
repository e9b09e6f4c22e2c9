import Tensors
import Weights

extension CompressedWeight {
  /// What the weight is stored as, in a few words.
  public var typeName: String {
    var parts: [String] = []
    switch base {
    case .dense(let dense)?: parts.append(dense.values.dtype.rawValue)
    case .integer(let integer)?:
      let grid = integer.grid
      var text = "int\(grid.bits)" + (grid.symmetric ? "" : " asym")
      switch grid.granularity {
      case .tensor: text += " tensor"
      case .channel: text += " channel"
      case .group(let length): text += " g\(length)"
      }
      parts.append(text)
    case .table(let table)?: parts.append(table.grid.description)
    case .blocks(let blocks)?: parts.append(blocks.format.rawValue)
    case nil: break
    }
    if mask != nil { parts.append("sparse \(Int((maskedFraction * 100).rounded()))%") }
    if let outliers { parts.append("\(outliers.count) columns") }
    for path in lowRank { parts.append("+r\(path.rank)") }
    if site?.transforms.isEmpty == false { parts.append("scaled") }
    if let activations = site?.activations { parts.append("inputs \(activations.name)") }
    return parts.joined(separator: ", ")
  }
}
