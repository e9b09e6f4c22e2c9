import Quantization
import Tensors
import Weights

/// A number format other than integers, with the choices made for one weight.
public enum ResolvedFormat: Sendable, Hashable {
  case table(TableScheme)
  /// A power-exponent grid whose exponent is found when the weight is there.
  case fittedPower(TableScheme)
  case blocks(BlockFormat)
  /// Bits by the salience of groups.
  case mixed(MixedScheme)
  /// Binary-coded weights.
  case planes(PlaneScheme)

  /// Bytes of the base; exact.
  func storedBytes(rows: Int, columns: Int) -> Int {
    switch self {
    case .table(let scheme), .fittedPower(let scheme):
      scheme.grid.storedBytes(rows: rows, columns: columns)
    case .blocks(let format): format.storedBytes(rows: rows, columns: columns)
    case .mixed(let scheme): scheme.storedBytes(rows: rows, columns: columns)
    case .planes(let scheme): scheme.storedBytes(rows: rows, columns: columns)
    }
  }

  /// The weight with what its base holds in this format.
  func quantize(
    _ weight: CompressedWeight, pool: WorkerPool
  ) throws(WeightsError) -> CompressedWeight {
    switch self {
    case .table(let scheme):
      try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
    case .fittedPower(let scheme):
      try RoundToNearest.quantize(
        weight, scheme: PowerExponent.fitted(scheme, to: weight, pool: pool), pool: pool)
    case .blocks(let format):
      try RoundToNearest.quantize(weight, blocks: format, pool: pool)
    case .mixed(let scheme):
      try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
    case .planes(let scheme):
      try RoundToNearest.quantize(weight, scheme: scheme, pool: pool)
    }
  }

  /// The scheme, when a row can be encoded by itself.
  var rowScheme: TableScheme? {
    guard case .table(let scheme) = self, scheme.grid.scaleFormat != .e4m3,
      scheme.grid.scaleFormat != .dynamic8, scheme.grid.granularity != .tensor
    else { return nil }
    return scheme
  }
}

extension ResolvedFormat: CustomStringConvertible {
  public var description: String {
    switch self {
    case .table(let scheme), .fittedPower(let scheme): scheme.grid.description
    case .blocks(let format): format.rawValue
    case .mixed(let scheme): scheme.description
    case .planes(let scheme): scheme.description
    }
  }
}
