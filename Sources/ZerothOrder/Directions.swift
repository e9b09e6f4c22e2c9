import Tensors

/// The random directions of a run: pure functions of (seed, step, query, parameter, element).
///
/// Nothing is stored: perturbing, updating and replaying ask for the same numbers again, any part
/// of them, in any order, from any worker.
public struct Directions: Sendable, Hashable {
  /// How the numbers are distributed; mean 0 and variance 1 in every case.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// ±1: one bit an element, exact on every machine.
    case rademacher
    /// Normal numbers by Box and Muller.
    case gaussian
    /// U·Vᵀ/√r on matrices (LoZO), normal numbers on vectors.
    case lowRank = "low_rank"
  }

  public let kind: Kind
  /// Of `lowRank`: columns of U and V.
  public let rank: Int
  /// Of `lowRank`: steps for which V stays.
  public let refresh: Int
  private let generator: Philox

  public init(kind: Kind, seed: UInt64, rank: Int = 2, refresh: Int = 50) {
    self.kind = kind
    self.rank = rank
    self.refresh = refresh
    generator = Philox(seed: seed)
  }

  /// Writes some elements of one parameter's direction.
  ///
  /// LoZO's factors come from two purposes of the counter, so that a step that draws a new V
  /// shifts nothing (both reference trainers have that error).
  public func fill(
    _ target: UnsafeMutablePointer<Float>, parameter: Parameter, elements: Range<Int>, step: Int,
    query: Int
  ) {
    let (tensor, step32) = (parameter.id, UInt32(truncatingIfNeeded: step))
    let query32 = UInt32(truncatingIfNeeded: query)
    switch kind {
    case .rademacher:
      generator.signs(
        elements: elements, tensor: tensor, step: step32, purpose: .perturbation, query: query32,
        into: target)
    case .lowRank where parameter.rows > 1 && parameter.columns > 1:
      fillLowRank(target, parameter, elements, step: step, query: query32)
    case .gaussian, .lowRank:
      generator.normals(
        elements: elements, tensor: tensor, step: step32, purpose: .perturbation, query: query32,
        into: target)
    }
  }

  private func fillLowRank(
    _ target: UnsafeMutablePointer<Float>, _ parameter: Parameter, _ elements: Range<Int>,
    step: Int, query: UInt32
  ) {
    let columns = parameter.columns
    let firstRow = elements.lowerBound / columns
    let lastRow = (elements.upperBound - 1) / columns
    var u = [Float](repeating: 0, count: (lastRow - firstRow + 1) * rank)
    var v = [Float](repeating: 0, count: columns * rank)
    generator.normals(
      elements: firstRow * rank..<(lastRow + 1) * rank, tensor: parameter.id,
      step: UInt32(truncatingIfNeeded: step), purpose: .perturbation, query: query, into: &u)
    generator.normals(
      elements: 0..<columns * rank, tensor: parameter.id,
      step: UInt32(truncatingIfNeeded: step / refresh * refresh), purpose: .lowRankDirection,
      query: query, into: &v)
    let scale = 1 / Float(rank).squareRoot()
    for element in elements {
      let (row, column) = (element / columns - firstRow, element % columns)
      var sum: Float = 0
      for index in 0..<rank { sum += u[row * rank + index] * v[column * rank + index] }
      target[element - elements.lowerBound] = sum * scale
    }
  }

  /// The examples' random words of a step: word i is a function of (seed, step, i).
  public func words(count: Int, step: Int) -> [UInt64] {
    (0..<count).map { index in
      let block = generator.block(
        elementBlock: UInt32(truncatingIfNeeded: index), step: UInt32(truncatingIfNeeded: step),
        purpose: .dataSampling)
      return UInt64(block[0]) << 32 | UInt64(block[1])
    }
  }
}
