import Architectures
import Tensors

/// A model that can be run: hidden states, scores, logits, generation.
///
/// Results have the same bits with any number of workers.
public final class LanguageModel: Sendable {
  public let description: ModelDescription
  let trunk: ModelTrunk
  let head: VocabularyHead?
  private let resident: [PreparedBlock]?

  /// Which weights stay in memory.
  public enum Residency: Sendable {
    /// All blocks, read once.
    case all
    /// One block at a time, read in every pass.
    case oneBlock
  }

  /// Reads a model's weights.
  ///
  /// - Throws: what the provider throws: a missing tensor, a wrong shape, a damaged file.
  public init(
    _ provider: any WeightProvider, residency: Residency = .all, pool: WorkerPool = .serial
  ) throws {
    description = provider.description
    let trunk = try ModelTrunk(provider, pool: pool)
    self.trunk = trunk
    head = try provider.description.head.map { try VocabularyHead($0, trunk: trunk) }
    resident =
      residency == .all
      ? try provider.description.blocks.map { try PreparedBlock($0, from: provider) } : nil
  }

  /// One block, from memory or read anew.
  func block(_ index: Int) throws -> PreparedBlock {
    try resident?[index] ?? PreparedBlock(description.blocks[index], from: trunk.provider)
  }

  /// The workers that the model runs on.
  public var pool: WorkerPool { trunk.pool }

  /// Hidden states after the final norm, `batch.rows × width`.
  ///
  /// - Parameters:
  ///   - cache: tokens behind each sequence; the batch's are added to it.
  ///   - observer: sees the rows that every linear layer reads.
  /// - Throws: `ModelError` for tokens out of range, sequences too long, a full cache.
  public func hiddenStates(
    of batch: TokenBatch, cache: KeyValueCache? = nil, observer: (any SiteObserver)? = nil
  ) throws -> Matrix<Float> {
    try run(batch, cache: cache, observer: observer, stopAfter: nil)
  }

  /// Hidden states after some blocks (0: the embeddings), before any final norm.
  public func hiddenStates(of batch: TokenBatch, afterBlocks count: Int) throws -> Matrix<Float> {
    try run(batch, cache: nil, observer: nil, stopAfter: count)
  }

  private func run(
    _ batch: TokenBatch, cache: KeyValueCache?, observer: (any SiteObserver)?, stopAfter: Int?
  ) throws -> Matrix<Float> {
    try batch.validate(for: description, past: cache?.lengths)
    try cache?.checkRoom(batch)
    let chunks = batch.chunks(
      ofRows: resident == nil ? trunk.blockwisePassRows : trunk.passRows)
    let width = description.hiddenSize
    let blocks = 0..<min(stopAfter ?? .max, description.blocks.count)
    var states = try Matrix<Float>(rows: batch.rows, columns: width) { target in
      guard let x = target.baseAddress else { return }
      func rows(_ chunk: Range<Int>) -> UnsafeMutablePointer<Float> {
        x + batch.offsets[chunk.lowerBound] * width
      }
      for chunk in chunks { trunk.embed(batch, chunk, cache: cache, into: rows(chunk)) }
      if let resident {
        for chunk in chunks {
          for block in blocks {
            try trunk.run(
              resident[block], batch, chunk, rows(chunk), cache: cache, observer: observer)
          }
        }
      } else {
        for index in blocks {
          let block = try PreparedBlock(description.blocks[index], from: trunk.provider)
          for chunk in chunks {
            try trunk.run(block, batch, chunk, rows(chunk), cache: cache, observer: observer)
          }
        }
      }
    }
    cache?.advance(by: batch)
    guard stopAfter == nil else { return states }
    states.values.withUnsafeMutableBufferPointer { target in
      guard let x = target.baseAddress, trunk.outputProjection == nil else { return }
      trunk.finish(x, rows: batch.rows, into: x)
    }
    guard trunk.outputProjection != nil else { return states }
    return Matrix(rows: batch.rows, columns: trunk.outputWidth) { target in
      guard let y = target.baseAddress else { return }
      states.values.withUnsafeMutableBufferPointer { source in
        guard let x = source.baseAddress else { return }
        trunk.finish(x, rows: batch.rows, into: y)
      }
    }
  }
}
