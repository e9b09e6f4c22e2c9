import Pruning
import Tensors
import Weights

/// What a base and its mask will take on the disk, from their sizes alone.
///
/// Exact where the mask has exactly what was asked for; gaps, which depend on where survivors lie,
/// are estimated.
struct BaseForecast {
  let rows: Int
  let columns: Int
  /// Bits of an entry.
  var survivorBits: Int
  /// Scales and zero points.
  private(set) var gridBytes = 0
  /// Bytes of a base in a format that has no sparse form.
  private var wholeBytes: Int?
  var pruned: PruneAmount?

  init(rows: Int, columns: Int, survivorBits: Int) {
    self.rows = rows
    self.columns = columns
    self.survivorBits = survivorBits
  }

  /// A base of codes.
  init(rows: Int, columns: Int, quantizedBy scheme: IntegerScheme) {
    self.init(rows: rows, columns: columns, survivorBits: scheme.bits)
    quantize(scheme)
  }

  mutating func store(_ format: ResolvedFormat) {
    wholeBytes = format.storedBytes(rows: rows, columns: columns)
  }

  mutating func quantize(_ scheme: IntegerScheme) {
    wholeBytes = nil
    let scaleRows = scheme.granularity == .tensor ? 1 : rows
    let scaleColumns =
      switch scheme.granularity {
      case .tensor, .channel: 1
      case .group(let length): columns / length
      }
    survivorBits = scheme.bits
    let zeros = scheme.symmetric ? 0 : scaleRows * ((scaleColumns * scheme.bits + 7) / 8)
    gridBytes = scaleRows * scaleColumns * scheme.scaleType.bytes + zeros
  }

  var bytes: Int {
    if let wholeBytes { return wholeBytes + (pruned == nil ? 0 : rows * ((columns + 7) / 8)) }
    let whole = rows * ((columns * survivorBits + 7) / 8)
    guard let pruned, rows > 0, columns > 0 else { return whole + gridBytes }
    let bitmap = rows * ((columns + 7) / 8)
    var kept: Int
    var best = whole + bitmap
    switch pruned {
    case .fraction(let fraction, .matrix):
      kept = rows * columns - SparsityClaim.dropped(of: rows * columns, fraction: fraction)
    case .fraction(let fraction, .row):
      kept = rows * (columns - SparsityClaim.dropped(of: columns, fraction: fraction))
    case .pattern(let pattern):
      kept = rows * columns / pattern.of * pattern.keep
      if let bits = pattern.numberBits {
        best = min(best, rows * ((columns / pattern.of * bits + 7) / 8) + survivorBytes(kept))
      }
    }
    best = min(best, bitmap + survivorBytes(kept))
    if kept * 8 < rows * columns {
      // A survivor every so many columns; a gap of 255 takes another byte.
      let density = Double(kept) / Double(rows * columns)
      var gaps = Double(kept)
      var longer = 1.0
      for _ in 0..<255 { longer *= 1 - density }
      gaps *= 1 + longer
      best = min(best, Int(gaps) + 4 * rows + survivorBytes(kept))
    }
    return best + gridBytes
  }

  private func survivorBytes(_ count: Int) -> Int { (count * survivorBits + 7) / 8 }
}
