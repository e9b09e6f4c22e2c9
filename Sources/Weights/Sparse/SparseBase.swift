import Kernels
import Tensors

/// A base without the entries that its mask drops.
///
/// Survivors stand row after row, without padding between rows; `positions` say where they belong.
/// What is not a survivor is exactly 0.
public struct SparseBase: Sendable {
  public let rows: Int
  public let columns: Int
  public let positions: SparsePositions
  public var survivors: Survivors
  /// What was asked of the mask.
  public let claim: SparsityClaim?
  /// The first survivor of each row, and their number: rows + 1.
  let starts: [Int]
  /// The first gap byte of each row, and their number; empty without gaps.
  let gapStarts: [Int]
  /// The patterns by their number; empty without patterns.
  let patterns: [UInt16]

  /// A base whose positions are looked through and checked; the survivors are checked by
  /// `validate`.
  ///
  /// - Parameter part: what messages call the base.
  /// - Throws: a `WeightsError` that names the part.
  public init(
    rows: Int, columns: Int, positions: SparsePositions, survivors: Survivors,
    claim: SparsityClaim? = nil, part: String = "base"
  ) throws(WeightsError) {
    self.rows = rows
    self.columns = columns
    self.positions = positions
    self.survivors = survivors
    self.claim = claim
    let index = try positions.index(rows: rows, columns: columns, part: part)
    starts = index.starts
    gapStarts = index.gapStarts
    patterns = index.patterns
  }

  /// How many entries are stored.
  public var survivorCount: Int { starts.last ?? 0 }

  /// Whether survivors are codes.
  public var isQuantized: Bool { if case .integer = survivors { true } else { false } }

  /// The stored tensors.
  public var payloads: [Tensor] { positions.payloads + survivors.payloads }
}

/// Where survivors belong.
public enum SparsePositions: Sendable {
  /// One bit an entry, `rows × ceil(columns / 8)` u8, least significant bit first; 1 = survivor.
  case bitmap(Tensor)
  /// Exactly `keep` of each `of` inputs (of from 2 to 16): per group the number of its pattern
  /// among all words of `of` bits with `keep` ones, ascending; per row a stream of numbers, least
  /// significant bit first, padded to a byte, `rows × ceil(groups · bits / 8)` u8.
  case patterns(keep: Int, of: Int, numbers: Tensor)
  /// Bytes, row after row: one below 255 skips so many columns and takes a survivor, 255 skips 255
  /// columns. `counts` (i32, rows) are the rows' survivors; a row's bytes end with its last one.
  case gaps(Tensor, counts: Tensor)

  /// Bits of a pattern's number; nil for groups too large to number.
  public static func numberBits(keep: Int, of: Int) -> Int? {
    guard of <= PatternTable.largest else { return nil }
    return PatternTable.bits(PatternTable.count(keep: keep, of: of))
  }

  /// The stored tensors.
  public var payloads: [Tensor] {
    switch self {
    case .bitmap(let bits): [bits]
    case .patterns(_, _, let numbers): [numbers]
    case .gaps(let gaps, let counts): [gaps, counts]
    }
  }
}

/// What stands at the positions.
public enum Survivors: Sendable {
  /// Plain values: f32, f16 or bf16 of the survivors' count.
  case dense(Tensor)
  /// Codes of the survivors as one stream, least significant bit first (u8 of
  /// ceil(count · bits / 8)); scales and zero points as in `IntegerBase`, by the entries' places.
  case integer(IntegerGrid, codes: Tensor, scales: Tensor, zeros: Tensor?)

  /// The stored tensors.
  public var payloads: [Tensor] {
    switch self {
    case .dense(let values): [values]
    case .integer(_, let codes, let scales, let zeros):
      [codes, scales] + (zeros.map { [$0] } ?? [])
    }
  }
}

/// The words of `of` bits with `keep` ones, ascending: a group's pattern is its number among them.
enum PatternTable {
  /// The largest group whose patterns are numbered.
  static let largest = 16

  static func patterns(keep: Int, of: Int) -> [UInt16] {
    (0..<1 << of).filter { $0.nonzeroBitCount == keep }.map(UInt16.init)
  }

  /// The bits of a number.
  static func bits(_ count: Int) -> Int {
    var bits = 1
    while 1 << bits < count { bits += 1 }
    return bits
  }

  /// How many words there are.
  static func count(keep: Int, of: Int) -> Int {
    (0..<keep).reduce(1) { $0 * (of - $1) / ($1 + 1) }
  }
}
