import Kernels
import Tensors

/// What was asked of a mask; the artefact says it, and the validator holds the mask to it.
public enum SparsityClaim: Sendable, Hashable {
  /// Which entries a fraction is counted over.
  public enum Scope: String, Sendable, Hashable, CaseIterable {
    case row, matrix
  }

  /// This fraction of every row, or of the matrix, is dropped: exactly, to within one entry.
  case fraction(Double, of: Scope)
  /// Of every `of` consecutive inputs at most `keep` are kept.
  case pattern(keep: Int, of: Int)

  /// Whether it is an N:M pattern.
  public var isPattern: Bool { if case .pattern = self { true } else { false } }

  /// How many of some entries a fraction drops: the nearest whole number, halves up.
  public static func dropped(of count: Int, fraction: Double) -> Int {
    min(count, max(0, Int((Double(count) * fraction + 0.5).rounded(.down))))
  }

  /// Checks the rows' bits.
  ///
  /// - Throws: `WeightsError.claimBroken`.
  func check(
    part: String, rows: Int, columns: Int, bits: (_ row: Int) -> [UInt8]
  ) throws(WeightsError) {
    switch self {
    case .pattern(let keep, let of):
      guard keep > 0, keep < of, columns % of == 0 else {
        throw .patternInvalid(keep: keep, of: of, columns: columns)
      }
      for row in 0..<rows {
        let line = bits(row)
        for first in stride(from: 0, to: columns, by: of) {
          var kept = 0
          for column in first..<first + of {
            kept += Int(line[column / 8] >> UInt8(column % 8) & 1)
          }
          guard kept <= keep else {
            throw .claimBroken(
              part: part, claim: "\(self)", row: row, column: first, kept: kept)
          }
        }
      }
    case .fraction(let fraction, let scope):
      guard fraction >= 0, fraction <= 1 else { throw .sparsityOutOfRange(fraction) }
      var kept = 0
      for row in 0..<rows {
        let line = bits(row)
        let here = line.reduce(0) { $0 + $1.nonzeroBitCount }
        kept += here
        guard scope == .row else { continue }
        let expected = columns - Self.dropped(of: columns, fraction: fraction)
        guard abs(here - expected) <= 1 else {
          throw .claimBroken(part: part, claim: "\(self)", row: row, column: 0, kept: here)
        }
      }
      let expected = rows * columns - Self.dropped(of: rows * columns, fraction: fraction)
      guard scope == .row || abs(kept - expected) <= 1 else {
        throw .claimBroken(part: part, claim: "\(self)", row: 0, column: 0, kept: kept)
      }
    }
  }
}

extension SparsityClaim: CustomStringConvertible {
  public var description: String {
    switch self {
    case .pattern(let keep, let of): "\(keep):\(of)"
    case .fraction(let fraction, let scope): "\(fraction) of the \(scope.rawValue)"
    }
  }

  /// The claim that a text of `description`'s form makes; nil when it has another form.
  init?(_ text: String) {
    let pair = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    if pair.count == 2, let keep = pair[0], let of = pair[1], keep > 0, keep < of {
      self = .pattern(keep: keep, of: of)
      return
    }
    for scope in Scope.allCases {
      let tail = " of the \(scope.rawValue)"
      if text.hasSuffix(tail), let fraction = Double(text.dropLast(tail.count)), fraction >= 0,
        fraction <= 1
      {
        self = .fraction(fraction, of: scope)
        return
      }
    }
    return nil
  }
}
