import Foundation
import Tensors

/// Resampling of windows with replacement: tokens of a window are not independent, windows nearly
/// are (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, §8.6).
///
/// 1. Replicate r draws n of n windows: draw i is ⌊u · n / 2⁶⁴⌋, u of words 0 and 1 of Philox
///    block i, step r, purpose `bootstrap`. A replicate depends on no other.
/// 2. Two statistics of one bootstrap see the same resamples, so that differences are paired.
public struct Bootstrap: Sendable {
  public static let defaultReplicates = 1000

  public let replicates: Int
  /// How often replicate r holds window w: `multiplicities[r * windows + w]`.
  private let multiplicities: [UInt16]
  private let windows: Int

  public init(windows: Int, replicates: Int = defaultReplicates, seed: UInt64 = 0) {
    self.replicates = replicates
    self.windows = windows
    let generator = Philox(seed: seed)
    var counts = Array(repeating: UInt16(0), count: windows * replicates)
    for replicate in 0..<replicates {
      for draw in 0..<windows {
        let words = generator.block(
          elementBlock: UInt32(truncatingIfNeeded: draw), step: UInt32(replicate),
          purpose: .bootstrap)
        let word = UInt64(words[0]) << 32 | UInt64(words[1])
        counts[replicate * windows + Int(word.multipliedFullWidth(by: UInt64(windows)).high)] += 1
      }
    }
    multiplicities = counts
  }

  /// Σ sums / Σ counts of every replicate.
  public func ratios(sums: [Double], counts: [Double]) -> [Double] {
    (0..<replicates).map { replicate in
      var (top, bottom) = (0.0, 0.0)
      for window in 0..<windows {
        let times = Double(multiplicities[replicate * windows + window])
        top += times * sums[window]
        bottom += times * counts[window]
      }
      return top / bottom
    }
  }

  /// Quantiles of tokens' values in every replicate.
  ///
  /// A quantile is the least value that at least the fraction q of the tokens do not exceed. One
  /// walk through the sorted values serves all quantiles.
  ///
  /// - Parameters:
  ///   - offsets: where each window's values start, and the end of the last.
  ///   - quantiles: ascending fractions.
  /// - Returns: per quantile, its value in every replicate.
  public func quantiles(
    _ values: [Double], offsets: [Int], _ quantiles: [Double]
  ) -> [[Double]] {
    let order = Self.order(values)
    var windowOf = Array(repeating: 0, count: values.count)
    for window in 0..<windows {
      for index in offsets[window]..<offsets[window + 1] { windowOf[index] = window }
    }
    let sorted = order.map { (value: values[$0], window: windowOf[$0]) }
    var result = Array(repeating: [Double](), count: quantiles.count)
    for replicate in 0..<replicates {
      let base = replicate * windows
      let total = (0..<windows).reduce(0) {
        $0 + Int(multiplicities[base + $1]) * (offsets[$1 + 1] - offsets[$1])
      }
      var (seen, next) = (0, 0)
      for entry in sorted {
        seen += Int(multiplicities[base + entry.window])
        while next < quantiles.count, seen > 0,
          Double(seen) >= quantiles[next] * Double(total)
        {
          result[next].append(entry.value)
          next += 1
        }
        if next == quantiles.count { break }
      }
    }
    return result
  }

  /// A quantile of plain values by the same definition; not a number for none.
  public static func quantile(_ values: [Double], _ fraction: Double) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    let rank = Int((fraction * Double(sorted.count)).rounded(.up))
    return sorted[min(max(rank, 1), sorted.count) - 1]
  }

  /// The standard deviation of replicates: the standard error of what they replicate.
  public static func standardError(_ replicates: [Double]) -> Double {
    guard replicates.count > 1 else { return .nan }
    let mean = replicates.reduce(0, +) / Double(replicates.count)
    let squares = replicates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(replicates.count - 1)).squareRoot()
  }

  /// The 95 % interval of replicates by their quantiles.
  public static func interval(_ replicates: [Double]) -> ClosedRange<Double> {
    let (low, high) = (quantile(replicates, 0.025), quantile(replicates, 0.975))
    return low <= high ? low...high : low...low
  }

  private static func order(_ values: [Double]) -> [Int] {
    values.indices.sorted { values[$0] == values[$1] ? $0 < $1 : values[$0] < values[$1] }
  }
}
