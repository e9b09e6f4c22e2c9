import LowRank
import Pruning
import Quantization
import Tensors
import Testing

@testable import Weights

/// Order has one meaning (docs/architecture.md §1): a stage acts on the base, decomposes, or
/// repairs, and all orders are legal.
@Suite("Methods: composition in every order")
struct CompositionTests {
  enum Stage: String, CaseIterable, Sendable {
    case scale, outliers, decompose, prune, quantize, repair
  }

  static let matrix = Sample.matrix()

  static func apply(_ stage: Stage, _ weight: CompressedWeight) throws -> CompressedWeight {
    switch stage {
    case .scale:
      try ChannelScaling.apply(
        weight, scale: (0..<Sample.columns).map { $0 % 2 == 0 ? 0.5 : 2 })
    case .outliers: try ColumnOutliers.extract(weight, count: 2)
    case .decompose: try PlainSVD.decompose(weight, original: matrix, rank: 6)
    case .prune: try MagnitudePruning.prune(weight, sparsity: 0.3)
    case .quantize: try RoundToNearest.quantize(weight, scheme: try Sample.scheme(4))
    case .repair: try PlainSVD.repair(weight, original: matrix, rank: 6)
    }
  }

  static func permutations(_ stages: [Stage]) -> [[Stage]] {
    guard stages.count > 1 else { return [stages] }
    return stages.indices.flatMap { index in
      var rest = stages
      let first = rest.remove(at: index)
      return permutations(rest).map { [first] + $0 }
    }
  }

  /// What must hold after one stage, whatever came before.
  static func check(_ stage: Stage, _ before: CompressedWeight, _ after: CompressedWeight) throws {
    try after.validate()
    let change = Sample.error(before.decoded(), after.decoded())
    switch stage {
    case .scale:
      #expect(change < 1e-6)
    case .outliers:
      #expect(change < 5e-4)
      #expect(after.outliers?.count == (before.outliers?.count ?? 0) + 2)
    case .decompose:
      #expect(change < 1e-6)
      #expect(after.base?.isQuantized == false && after.mask == nil)
      #expect(after.lowRank.count == before.lowRank.count + 1)
    case .prune:
      #expect(after.sharesBase(with: before))
      #expect(after.lowRank.count == before.lowRank.count)
    case .quantize:
      #expect(after.base?.isQuantized == true)
      #expect(after.lowRank.count == before.lowRank.count)
      #expect(after.mask?.keptCount == before.mask?.keptCount)
    case .repair:
      #expect(after.sharesBase(with: before))
      let errors = (
        before: Sample.error(matrix, before.decoded()), after: Sample.error(matrix, after.decoded())
      )
      #expect(errors.after <= errors.before)
      if errors.before > 1e-3 { #expect(errors.after < 0.97 * errors.before) }
    }
    let back = try CompressedWeight(decoding: after.encodedParts())
    #expect(back.decoded() == after.decoded())
  }

  static func run(_ order: [Stage]) throws -> CompressedWeight {
    var weight = CompressedWeight.dense(matrix)
    for stage in order {
      let next = try apply(stage, weight)
      try check(stage, weight, next)
      weight = next
    }
    return weight
  }

  @Test(
    "decompose, prune, quantize and repair compose in all 24 orders",
    arguments: permutations([.decompose, .prune, .quantize, .repair]))
  func allOrders(order: [Stage]) throws {
    let weight = try Self.run(order)
    let error = Sample.error(Self.matrix, weight.decoded())
    #expect(error < 0.35, "\(order.map(\.rawValue))")
    let inputs = Sample.normals(3, Sample.columns, seed: 3)
    #expect(
      Sample.error(
        weight.multipliedByReference(inputs), weight.multiplied(by: inputs)) < 1e-5)
  }

  @Test(
    "with outliers anywhere among them",
    arguments: permutations([.outliers, .quantize, .repair, .decompose]))
  func withOutliers(order: [Stage]) throws {
    #expect(Sample.error(Self.matrix, try Self.run(order).decoded()) < 0.2)
  }

  @Test("with a transform before what needs codes")
  func withScaling() throws {
    for order in Self.permutations([.prune, .quantize, .repair, .decompose]) {
      #expect(Sample.error(Self.matrix, try Self.run([.scale] + order).decoded()) < 0.4)
    }
  }

  @Test("repairing last beats not repairing, and repairing before compressing does nothing")
  func repairOrder() throws {
    let none = try Self.run([.prune, .quantize])
    let last = try Self.run([.prune, .quantize, .repair])
    let first = try Self.run([.repair, .prune, .quantize])
    #expect(first.lowRank.isEmpty)
    #expect(first.codes == none.codes)
    let errors = [last, none].map { Sample.error(Self.matrix, $0.decoded()) }
    #expect(errors[0] < 0.9 * errors[1])
  }

  @Test("decomposing first leaves quantize a smaller residual")
  func decomposeFirst() throws {
    let plain = Sample.error(Self.matrix, try Self.run([.quantize]).decoded())
    let first = Sample.error(Self.matrix, try Self.run([.decompose, .quantize]).decoded())
    let after = Sample.error(Self.matrix, try Self.run([.quantize, .decompose]).decoded())
    #expect(first < 0.9 * plain)
    #expect(abs(after - plain) < 1e-4 * plain)
  }

  @Test("pruning before quantizing and after it keep the same count")
  func pruneOrder() throws {
    let first = try Self.run([.prune, .quantize])
    let after = try Self.run([.quantize, .prune])
    #expect(first.mask?.keptCount == after.mask?.keptCount)
    #expect(first.mask?.keptCount == Int(Double(Sample.rows * Sample.columns) * 0.7 + 0.5))
  }
}
