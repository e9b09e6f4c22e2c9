import Architectures
import Tensors
import Weights

/// What every way of running a model shares: embedding, positions, scratch, workers.
final class ModelTrunk: Sendable {
  let provider: any WeightProvider
  let model: ModelDescription
  let embedder: Embedder
  let rotary: RotaryTables?
  let keyValueScheme: KeyValueScheme?
  let keyValueScales: KeyValueScales?
  let finalNorm: Norm?
  let outputProjection: LinearMap?
  let scratch = ScratchMemory()
  let pool: WorkerPool

  /// Bytes of queries, keys and values that one pass may hold at once, when its sequences are
  /// short enough.
  static let passBytes = 16 << 20

  init(_ provider: any WeightProvider, pool: WorkerPool) throws {
    self.provider = provider
    let model = provider.description
    self.model = model
    self.pool = pool
    keyValueScheme = provider.keyValueScheme
    if keyValueScheme != nil, !model.attention.causal {
      throw ModelError.keyValueSchemeNotCausal(modelType: model.modelType)
    }
    keyValueScales = provider.keyValueScales
    if let scales = keyValueScales, scales.layers.count != model.blocks.count {
      throw ModelError.keyValueScalesDoNotFit(
        found: scales.layers.count, blocks: model.blocks.count)
    }
    embedder = try Embedder(from: provider)
    finalNorm = try model.finalNorm.map { try Norm($0, model.normalization, from: provider) }
    outputProjection = try model.outputProjection.map { try LinearMap($0, from: provider) }
    if case .rotary(let encoding) = model.positions {
      rotary = RotaryTables(
        encoding, dimension: model.attention.headDimension, limit: model.maximumPositions)
    } else {
      rotary = nil
    }
  }

  /// Rows that one pass takes, as long as its sequences are not longer.
  var passRows: Int { Self.passRows(model) }

  static func passRows(_ model: ModelDescription) -> Int {
    max(512, passBytes / (4 * BlockPass.scratchPerRow(model)))
  }

  /// The same where weights pass through memory block by block: half, to stay in bounds that a
  /// user sets; there the longer tiles of a long pass are worth less than their room.
  var blockwisePassRows: Int { Self.blockwisePassRows(model) }

  static func blockwisePassRows(_ model: ModelDescription) -> Int {
    max(512, passRows(model) / 2)
  }

  /// The width of the final hidden states.
  var outputWidth: Int { outputProjection?.outputs ?? model.hiddenSize }

  /// The segments and positions of some sequences, rows counted from the first of them.
  func layout(
    _ batch: TokenBatch, _ sequences: Range<Int>, cache: KeyValueCache?
  ) -> (segments: [BlockPass.Segment], positions: [Int32]) {
    let start = batch.offsets[sequences.lowerBound]
    var segments: [BlockPass.Segment] = []
    var positions: [Int32] = []
    for sequence in sequences {
      let rows = batch.rows(of: sequence)
      let prefix = batch.prefixRows(of: sequence)
      let past = prefix?.count ?? cache?.lengths[sequence] ?? 0
      segments.append(
        BlockPass.Segment(
          rows: rows.lowerBound - start..<rows.upperBound - start, sequence: sequence, past: past,
          prefix: prefix.map { $0.lowerBound - start..<$0.upperBound - start }))
      positions += rows.indices.map { Int32(past + $0 - rows.lowerBound) }
    }
    return (segments, positions)
  }

  /// Hidden states of some sequences before the first block.
  func embed(
    _ batch: TokenBatch, _ sequences: Range<Int>, cache: KeyValueCache?,
    into x: UnsafeMutablePointer<Float>
  ) {
    let rows = batch.offsets[sequences.lowerBound]..<batch.offsets[sequences.upperBound]
    let (_, positions) = layout(batch, sequences, cache: cache)
    embedder.embed(
      batch, rows: rows, position: positions, into: x, scratch: scratch, pool: pool)
  }

  /// Takes some sequences through one block.
  func run(
    _ block: PreparedBlock, _ batch: TokenBatch, _ sequences: Range<Int>,
    _ x: UnsafeMutablePointer<Float>, cache: KeyValueCache? = nil,
    observer: (any SiteObserver)? = nil
  ) throws {
    try pass(block, batch, sequences, cache: cache, observer: observer).run(x)
  }

  /// Some sequences before one block.
  func pass(
    _ block: PreparedBlock, _ batch: TokenBatch, _ sequences: Range<Int>,
    cache: KeyValueCache? = nil, observer: (any SiteObserver)? = nil
  ) -> BlockPass {
    pass(sides: [block], batch, sequences, cache: cache, observer: observer)
  }

  /// Some sequences before one block that several sides have, each with its own weights.
  func pass(
    sides: [PreparedBlock], _ batch: TokenBatch, _ sequences: Range<Int>,
    cache: KeyValueCache? = nil, observer: (any SiteObserver)? = nil
  ) -> BlockPass {
    let (segments, positions) = layout(batch, sequences, cache: cache)
    let highest = Int(positions.max() ?? 0)
    return BlockPass(
      model: model, sides: sides,
      segments: sides.indices.flatMap { side in
        segments.map { $0.moved(by: side * positions.count) }
      },
      positions: sides.flatMap { _ in positions }, rotary: rotary?.covering(highest + 1),
      cache: cache, keyValueScheme: keyValueScheme, keyValueScales: keyValueScales,
      observer: observer, scratch: scratch, pool: pool)
  }

  /// The final norm and projection of some rows; `y` is `rows × outputWidth` and may be x when
  /// there is no projection.
  func finish(
    _ x: UnsafeMutablePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>
  ) {
    finalNorm?.apply(x, rows: rows, into: x)
    if let outputProjection {
      outputProjection.apply(x, rows: rows, into: y, pool: pool)
    } else if y != x {
      y.update(from: x, count: rows * model.hiddenSize)
    }
  }
}
