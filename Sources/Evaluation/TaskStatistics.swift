import JSONText

/// A fraction of independent yes-or-no outcomes.
public struct Proportion: Sendable, Hashable {
  public let hits: Int
  public let count: Int

  public init(hits: Int, count: Int) {
    self.hits = hits
    self.count = count
  }

  public var value: Double { count == 0 ? .nan : Double(hits) / Double(count) }

  /// Wilson's 95 % interval, which stays within 0…1.
  ///
  /// E. B. Wilson, J. Am. Stat. Assoc. 22, 1927.
  public var interval: ClosedRange<Double> {
    guard count > 0 else { return 0...1 }
    let z = 1.959963984540054
    let n = Double(count)
    let spread = z * (value * (1 - value) / n + z * z / (4 * n * n)).squareRoot()
    let center = value + z * z / (2 * n)
    let scale = 1 + z * z / n
    return max(0, (center - spread) / scale)...min(1, (center + spread) / scale)
  }

  public var json: JSONValue {
    [
      "value": .init(value), "hits": .init(hits), "count": .init(count),
      "low": .init(interval.lowerBound), "high": .init(interval.upperBound),
    ]
  }
}

/// What the margin between two options says, whatever threshold it is compared with.
public struct BinaryStatistics: Sendable, Hashable {
  /// The probability that a record of label 1 has a larger margin than one of label 0, equal
  /// margins counted half (Mann and Whitney).
  public let areaUnderCurve: Double
  /// Accuracy when margins above the median are called label 1: blind to a constant bias.
  public let medianThresholdAccuracy: Proportion

  /// - Parameters:
  ///   - margins: log-likelihood of option 1 less that of option 0.
  ///   - labels: 0 or 1 each.
  public init(margins: [Double], labels: [Int]) {
    let order = margins.indices.sorted { margins[$0] < margins[$1] }
    var rankSum = 0.0
    var place = 0
    while place < order.count {
      var end = place
      while end < order.count, margins[order[end]] == margins[order[place]] { end += 1 }
      // Equal margins share their mean rank, counted from 1.
      let rank = Double(place + end + 1) / 2
      for index in order[place..<end] where labels[index] == 1 { rankSum += rank }
      place = end
    }
    let positives = Double(labels.count { $0 == 1 })
    let negatives = Double(labels.count) - positives
    areaUnderCurve =
      positives == 0 || negatives == 0
      ? .nan : (rankSum - positives * (positives + 1) / 2) / (positives * negatives)
    let middle = order.count / 2
    let median =
      order.isEmpty
      ? 0
      : order.count % 2 == 1
        ? margins[order[middle]] : (margins[order[middle - 1]] + margins[order[middle]]) / 2
    medianThresholdAccuracy = Proportion(
      hits: labels.indices.count { (margins[$0] > median ? 1 : 0) == labels[$0] },
      count: labels.count)
  }
}
