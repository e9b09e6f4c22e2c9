import Architectures
import Weights

/// One block's weights in memory, ready to run.
public struct PreparedBlock: Sendable {
  public let description: BlockDescription
  let attentionNorm: Norm
  let queryNorm: Norm?
  let keyNorm: Norm?
  let feedForwardNorm: Norm
  /// The readers of each site; none of a site that is not loaded.
  private var maps: [[LinearMap]]
  /// What the readers of each site do to their input first, where all do the same.
  private var preparations: [InputPreparation?]

  /// Query, key, value, or one fused map.
  var projections: [LinearMap] { maps[0] }
  var attentionOutput: LinearMap { maps[1][0] }
  /// Gate and up, or the first map.
  var feedForwardInputs: [LinearMap] { maps[2] }
  /// Down, or the second map.
  var feedForwardOutput: LinearMap { maps[3][0] }
  /// What all projections do to their input first.
  var projectionPreparation: InputPreparation? { preparations[0] }
  /// What gate and up do to their input first.
  var feedForwardPreparation: InputPreparation? { preparations[2] }

  /// Reads a block's weights.
  ///
  /// - Throws: `ModelError`, and what reading the checkpoint throws.
  public init(_ block: BlockDescription, from provider: any WeightProvider) throws {
    try self.init(normsOf: block, from: provider)
    for site in maps.indices { try load(site: site, from: provider) }
  }

  /// A block whose linear layers are still to be loaded, site by site.
  public init(normsOf block: BlockDescription, from provider: any WeightProvider) throws {
    let normalization = provider.description.normalization
    description = block
    attentionNorm = try Norm(block.attentionNorm, normalization, from: provider)
    queryNorm = try block.queryNorm.map { try Norm($0, normalization, from: provider) }
    keyNorm = try block.keyNorm.map { try Norm($0, normalization, from: provider) }
    feedForwardNorm = try Norm(block.feedForwardNorm, normalization, from: provider)
    maps = Array(repeating: [], count: block.linearsBySite.count)
    preparations = Array(repeating: nil, count: maps.count)
  }

  /// Reads the linear layers that a site feeds.
  public mutating func load(site: Int, from provider: any WeightProvider) throws {
    maps[site] = try description.linearsBySite[site].map { try LinearMap($0, from: provider) }
    preparations[site] = LinearMap.sharedPreparation(maps[site])
  }

  /// Lets the linear layers go that a site feeds.
  public mutating func unload(site: Int) {
    maps[site] = []
    preparations[site] = nil
  }

  /// The bytes that the block takes in memory.
  public var byteCount: Int {
    let norms = [attentionNorm, queryNorm, keyNorm, feedForwardNorm].compactMap { $0?.byteCount }
    return norms.reduce(0, +) + maps.joined().reduce(0) { $0 + $1.byteCount }
  }
}
