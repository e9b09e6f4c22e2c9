import Models
import Tensors

/// A weighted sum of objectives; a batch's examples are dealt out to them in turn.
public struct Mixture: Objective {
  public let name: String
  public let parts: [(objective: any Objective, weight: Double)]
  public let count: Int
  private let offsets: [Int]

  /// - Throws: `ObjectivesError.badMixture` for no parts, a generative one, or a weight that is not
  ///   positive.
  public init(_ parts: [(objective: any Objective, weight: Double)]) throws(ObjectivesError) {
    guard !parts.isEmpty else { throw .badMixture(reason: "it has no parts") }
    for part in parts {
      guard part.weight > 0, part.weight.isFinite else {
        throw .badMixture(reason: "'\(part.objective.name)' has the weight \(part.weight)")
      }
      guard !(part.objective is any GenerativeObjective) else {
        throw .badMixture(reason: "'\(part.objective.name)' needs generation, which stands alone")
      }
    }
    self.parts = parts
    name = parts.map(\.objective.name).joined(separator: "+")
    var offsets = [0]
    for part in parts { offsets.append((offsets.last ?? 0) + part.objective.count) }
    self.offsets = offsets
    count = offsets.last ?? 0
  }

  private func part(of example: Int) -> Int { (offsets.firstIndex { $0 > example } ?? 1) - 1 }

  public func draw(_ words: [UInt64]) -> [Int] {
    words.enumerated().map { index, word in
      let part = index % parts.count
      return offsets[part] + parts[part].objective.draw([word])[0]
    }
  }

  public func sequences(_ examples: [Int]) -> [[Int32]] {
    examples.flatMap { example -> [[Int32]] in
      let part = part(of: example)
      return parts[part].objective.sequences([example - offsets[part]])
    }
  }

  public func batch(_ examples: [Int]) -> TokenBatch {
    TokenBatch(
      joining: examples.map { example in
        let part = part(of: example)
        return parts[part].objective.batch([example - offsets[part]])
      })
  }

  public func rows(_ examples: [Int], of batch: TokenBatch) -> [Int]? {
    var result: [Int] = []
    var first = 0
    for example in examples {
      let part = part(of: example)
      let own = [example - offsets[part]]
      let ownBatch = parts[part].objective.batch(own)
      let rows = parts[part].objective.rows(own, of: ownBatch) ?? Array(0..<ownBatch.rows)
      result += rows.map { $0 + first }
      first += ownBatch.rows
    }
    return result
  }

  public func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum {
    var total = LossSum()
    for (index, part) in parts.enumerated() {
      var (own, values): ([Int], [Float]) = ([], [])
      var first = 0
      for example in examples {
        let count = self.batch([example]).rows
        defer { first += count }
        guard self.part(of: example) == index else { continue }
        own.append(example - offsets[index])
        values += hidden.values[first * hidden.columns..<(first + count) * hidden.columns]
      }
      guard !own.isEmpty else { continue }
      let found = try part.objective.loss(
        model,
        hidden: Matrix(
          rows: values.count / hidden.columns, columns: hidden.columns, values: values),
        batch: part.objective.batch(own), examples: own)
      total.sum += part.weight * found.mean * Double(own.count)
      total.hits += found.hits
      total.cases += found.cases
    }
    // Every part's mean counts by its weight, however many examples it was dealt.
    total.sum *= Double(parts.count) / Double(max(examples.count, 1))
    total.count = 1
    return total
  }
}
