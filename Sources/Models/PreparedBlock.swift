import Architectures
import Weights

/// One block's weights in memory, ready to run.
public struct PreparedBlock: Sendable {
  public let description: BlockDescription
  let attentionNorm: Norm
  /// Query, key, value, or one fused map.
  let projections: [LinearMap]
  /// What all projections do to their input first.
  let projectionInput: InputPreparation?
  let attentionOutput: LinearMap
  let queryNorm: Norm?
  let keyNorm: Norm?
  let feedForwardNorm: Norm
  /// Gate, up, down, or first, second.
  let feedForward: [LinearMap]
  /// What gate and up do to their input first.
  let feedForwardInput: InputPreparation?

  /// Reads a block's weights.
  ///
  /// - Throws: `ModelError`, and what reading the checkpoint throws.
  public init(_ block: BlockDescription, from provider: any WeightProvider) throws {
    let normalization = provider.description.normalization
    description = block
    attentionNorm = try Norm(block.attentionNorm, normalization, from: provider)
    projections = try block.projections.linears.map { try LinearMap($0, from: provider) }
    projectionInput = LinearMap.sharedPreparation(projections)
    attentionOutput = try LinearMap(block.attentionOutput, from: provider)
    queryNorm = try block.queryNorm.map { try Norm($0, normalization, from: provider) }
    keyNorm = try block.keyNorm.map { try Norm($0, normalization, from: provider) }
    feedForwardNorm = try Norm(block.feedForwardNorm, normalization, from: provider)
    feedForward = try block.feedForward.linears.map { try LinearMap($0, from: provider) }
    feedForwardInput = LinearMap.sharedPreparation(Array(feedForward.dropLast()))
  }

  /// The bytes that the block takes in memory.
  public var byteCount: Int {
    let norms = [attentionNorm, queryNorm, keyNorm, feedForwardNorm].compactMap { $0?.byteCount }
    let maps = projections + [attentionOutput] + feedForward
    return norms.reduce(0, +) + maps.reduce(0) { $0 + $1.byteCount }
  }
}
