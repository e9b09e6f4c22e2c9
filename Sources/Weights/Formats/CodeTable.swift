import Foundation
import Kernels

/// The values of a format's codes, and how a value finds its code.
///
/// (1) `code(of:)` gives the nearest value, values beyond the ends the ends; (2) a value of the
/// table finds itself; (3) halfway cases follow `Ties`, exactly.
public struct CodeTable: Sendable {
  /// Which of two values a number halfway between them becomes.
  enum Ties {
    /// The one with the even code.
    case evenCode
    /// The smaller one.
    case down
    /// The one nearer to zero.
    case towardZero
  }

  /// The bits of a code.
  public let bits: Int
  /// The value of every code, 256; NaN for codes that stand for nothing and beyond the width.
  public let values: [Float]
  /// The values that an encoder chooses from, ascending.
  public let sorted: [Float]
  /// The code of each sorted value.
  public let codes: [UInt8]
  /// What lies above bounds[i] lies at least at sorted[i + 1]; 256, infinite beyond the last.
  let bounds: [Float]
  /// What the lesser of both ends reaches.
  public let reach: Float
  /// The largest absolute value of any code, chosen or not.
  public let largest: Float

  /// - Parameters:
  ///   - entries: codes with the values that an encoder chooses from.
  ///   - extra: codes that are read as well.
  init(bits: Int, entries: [(UInt8, Float)], extra: [(UInt8, Float)] = [], ties: Ties) {
    let ordered = entries.sorted { $0.1 < $1.1 }
    self.bits = bits
    var values = [Float](repeating: .nan, count: 256)
    for (code, value) in entries + extra { values[Int(code)] = value }
    self.values = values
    sorted = ordered.map(\.1)
    codes = ordered.map(\.0)
    var bounds = [Float](repeating: .infinity, count: 256)
    for index in 0..<ordered.count - 1 {
      let (low, high) = (ordered[index], ordered[index + 1])
      let middle = (Double(low.1) + Double(high.1)) / 2
      let bound = Float(middle)
      let isUp =
        switch ties {
        case .evenCode: high.0 & 1 == 0 && low.0 & 1 == 1
        case .down: false
        case .towardZero: abs(high.1) < abs(low.1)
        }
      // Comparisons are strict: a tie that goes up, and a middle that was rounded up, move the
      // bound down by one place.
      let isLowered = Double(bound) > middle || (Double(bound) == middle && isUp)
      bounds[index] = isLowered ? bound.nextDown : bound
    }
    self.bounds = bounds
    reach = min(-(sorted.first ?? 0), sorted.last ?? 0)
    largest = (entries + extra).map { abs($0.1) }.max() ?? 0
  }

  /// The code of the nearest value.
  public func code(of value: Float) -> UInt8 {
    var (low, high) = (0, sorted.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if value > bounds[middle] { low = middle + 1 } else { high = middle }
    }
    return codes[low]
  }

  /// The value of a code; NaN where it stands for nothing.
  public func value(of code: UInt8) -> Float { values[Int(code)] }

  /// Whether there are codes that stand for nothing.
  var hasUnusedCodes: Bool { values[0..<1 << bits].contains { $0.isNaN } }

  /// How much larger than the whole range a scale may usefully be: values beyond the last but one
  /// are rare in formats whose steps grow, and a group's largest number may lie better on it.
  var expansion: Double {
    let ends = sorted.filter { $0 > 0 }.suffix(2)
    guard ends.count == 2, let below = ends.first, let top = ends.last else { return 1 }
    return min(Double(top) / Double(below), 1.6)
  }

  /// The table as the kernels take it; valid inside the closure.
  func withKernelTable<Result>(_ body: (UnsafePointer<PithTable>) -> Result) -> Result {
    values.withUnsafeBufferPointer { values in
      sorted.withUnsafeBufferPointer { sorted in
        bounds.withUnsafeBufferPointer { bounds in
          codes.withUnsafeBufferPointer { codes in
            var table = PithTable()
            table.values = values.baseAddress
            table.sorted = sorted.baseAddress
            table.bounds = bounds.baseAddress
            table.codes = codes.baseAddress
            table.count = Int32(codes.count)
            return body(&table)
          }
        }
      }
    }
  }
}

extension CodeTable {
  /// Zero has one code here, +0: the code of −0 is read and never chosen.
  static func minifloat(_ format: Minifloat) -> CodeTable {
    let sign = UInt8(1 << (format.bits - 1))
    var entries: [(UInt8, Float)] = [(0, 0)]
    for code in 1..<format.numberOfMagnitudes {
      let value = format.magnitude(code)
      entries += [(UInt8(code), value), (UInt8(code) | sign, -value)]
    }
    return CodeTable(bits: format.bits, entries: entries, extra: [(sign, -0.0)], ties: .evenCode)
  }

  static let normalFloat4 = CodeTable(
    bits: 4,
    entries: [
      -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
      -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
      0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
      0.7229568362236023, 1,
    ].enumerated().map { (UInt8($0), $1) },
    ties: .down)

  static let bitsandbytesFloat4: CodeTable = {
    let magnitudes: [Float] = [0, 0.0625, 8, 12, 4, 6, 2, 3].map { $0 / 12 }
    var entries: [(UInt8, Float)] = [(0, 0)]
    for (code, value) in magnitudes.enumerated() where code > 0 {
      entries += [(UInt8(code), value), (UInt8(code) | 8, -value)]
    }
    return CodeTable(bits: 4, entries: entries, extra: [(8, -0.0)], ties: .towardZero)
  }()

  /// Code q + 2^(bits−1) − 1 for q in −n...n.
  static func power(bits: Int, exponent: Float) -> CodeTable {
    let n = (1 << (bits - 1)) - 1
    let entries = (-n...n).map { q -> (UInt8, Float) in
      let magnitude = pow(Double(abs(q)) / Double(n), 1 / Double(exponent))
      return (UInt8(q + n), Float(q < 0 ? -magnitude : magnitude))
    }
    return CodeTable(bits: bits, entries: entries, ties: .towardZero)
  }
}
