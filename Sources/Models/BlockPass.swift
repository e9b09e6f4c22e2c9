import Architectures
import Kernels
import Tensors
import Weights

/// Some sequences on their way through one block.
struct BlockPass {
  let model: ModelDescription
  let block: PreparedBlock
  /// Rows of each sequence within the hidden states, and tokens behind it.
  let segments: [Segment]
  /// The position of every row.
  let positions: [Int32]
  let rotary: RotaryTables.Tables?
  let cache: KeyValueCache?
  /// How keys and values of older tokens are rounded; nil: not at all.
  let keyValueScheme: KeyValueScheme?
  let observer: (any SiteObserver)?
  let scratch: ScratchMemory
  let pool: WorkerPool

  /// One sequence's rows.
  struct Segment: Sendable {
    let rows: Range<Int>
    /// The sequence's number in the cache.
    let sequence: Int
    /// Tokens of the sequence that the cache holds already.
    let past: Int
  }

  /// Rows per tile: enough for gemm's packing to pay, few enough to share out.
  ///
  /// Depends on the rows alone, so that any number of workers cuts alike.
  static func tileRows(_ rows: Int) -> Int { rows >= 2048 ? 512 : 256 }

  /// Numbers of scratch that a pass takes per row, besides one tile per worker.
  static func scratchPerRow(_ model: ModelDescription) -> Int {
    2 * model.attention.queryWidth + 2 * model.attention.keyValueWidth
  }

  /// x ← block(x), `rows × hiddenSize`.
  func run(_ x: UnsafeMutablePointer<Float>) throws {
    let rows = positions.count
    let shape = model.attention
    try scratch.with(rows * Self.scratchPerRow(model)) { memory in
      let buffers = AttentionBuffers(memory, rows: rows, shape: shape)
      try forEachTile(rows) { range in try project(x, range, buffers) }
      storeInCache(buffers)
      if let keyValueScheme {
        attend(buffers, rounding: keyValueScheme)
      } else {
        attend(buffers)
      }
      try forEachTile(rows) { range in try finish(x, range, buffers) }
    }
  }

  /// Tiles by all workers, or in order by this one when somebody watches.
  private func forEachTile(_ rows: Int, _ body: (Range<Int>) throws -> Void) throws {
    let tile = Self.tileRows(rows)
    guard observer == nil else {
      for first in stride(from: 0, to: rows, by: tile) {
        try body(first..<min(first + tile, rows))
      }
      return
    }
    try withoutActuallyEscaping(body) { body in
      // Tiles write to disjoint rows.
      nonisolated(unsafe) let body = body
      try pool.forEachRange(count: rows, length: tile) { range in try body(range) }
    }
  }

  /// Norm, queries, keys, values and rotary positions of some rows.
  private func project(
    _ x: UnsafeMutablePointer<Float>, _ range: Range<Int>, _ buffers: AttentionBuffers
  ) throws {
    let width = model.hiddenSize
    let count = range.count
    let rows = x + range.lowerBound * width
    let maps = block.projections
    let fused = maps.count == 1
    let shape = model.attention
    let fusedWidth = fused ? maps[0].outputs : 0
    try scratch.with(count * (width + fusedWidth)) { memory in
      var input = UnsafePointer(rows)
      if model.normalization.placement == .before {
        block.attentionNorm.apply(rows, rows: count, into: memory)
        input = UnsafePointer(memory)
      }
      try observer?.observe(block.description.sites[0], input, rows: count)
      let query = buffers.query + range.lowerBound * shape.queryWidth
      let key = buffers.key + range.lowerBound * shape.keyValueWidth
      let value = buffers.value + range.lowerBound * shape.keyValueWidth
      if fused {
        let all = memory + count * width
        maps[0].apply(input, rows: count, into: all, pool: pool)
        var column = 0
        for (target, part) in [
          (query, shape.queryWidth), (key, shape.keyValueWidth), (value, shape.keyValueWidth),
        ] {
          for row in 0..<count {
            (target + row * part).update(from: all + row * fusedWidth + column, count: part)
          }
          column += part
        }
      } else {
        apply(
          maps, sharing: block.projectionInput, input, rows: count, into: [query, key, value])
      }
      block.queryNorm?.apply(query, rows: count * shape.heads, into: query)
      block.keyNorm?.apply(key, rows: count * shape.keyValueHeads, into: key)
      guard let rotary else { return }
      positions.withUnsafeBufferPointer { positions in
        guard let position = positions.baseAddress.map({ $0 + range.lowerBound }) else { return }
        pith_rotary(
          query, count, shape.heads, shape.headDimension, position, rotary.cosines, rotary.sines)
        pith_rotary(
          key, count, shape.keyValueHeads, shape.headDimension, position, rotary.cosines,
          rotary.sines)
      }
    }
  }

  /// Attention's output map, the feed-forward part and both residual sums of some rows.
  private func finish(
    _ x: UnsafeMutablePointer<Float>, _ range: Range<Int>, _ buffers: AttentionBuffers
  ) throws {
    let width = model.hiddenSize
    let count = range.count
    let rows = x + range.lowerBound * width
    let before = model.normalization.placement == .before
    let sites = block.description.sites
    let feedForward = block.description.feedForward
    let gated = block.feedForward.count == 3
    let inner = feedForward.width
    try scratch.with(count * (width + inner * (gated ? 2 : 1))) { memory in
      let attended = UnsafePointer(buffers.attended + range.lowerBound * model.attention.queryWidth)
      try observer?.observe(sites[1], attended, rows: count)
      block.attentionOutput.apply(attended, rows: count, into: memory, pool: pool)
      pith_add(rows, memory, count * width)
      var input = UnsafePointer(rows)
      if before {
        block.feedForwardNorm.apply(rows, rows: count, into: memory)
        input = UnsafePointer(memory)
      } else {
        block.attentionNorm.apply(rows, rows: count, into: rows)
      }
      try observer?.observe(sites[2], input, rows: count)
      let hidden = memory + count * width
      let activation = feedForward.activation.kernel
      let up = hidden + count * inner
      apply(
        block.feedForward.dropLast(), sharing: block.feedForwardInput, input, rows: count,
        into: gated ? [hidden, up] : [hidden])
      if gated {
        pith_activate_gated(activation, hidden, up, count * inner)
      } else {
        pith_activate(activation, hidden, count * inner)
      }
      try observer?.observe(sites[3], hidden, rows: count)
      block.feedForward[gated ? 2 : 1].apply(hidden, rows: count, into: memory, pool: pool)
      pith_add(rows, memory, count * width)
      if !before { block.feedForwardNorm.apply(rows, rows: count, into: rows) }
    }
  }

  /// Several maps of one input; what all of them do to it first is done once.
  private func apply(
    _ maps: some Sequence<LinearMap>, sharing preparation: InputPreparation?,
    _ input: UnsafePointer<Float>, rows: Int, into outputs: [UnsafeMutablePointer<Float>]
  ) {
    guard let preparation else {
      for (map, output) in zip(maps, outputs) {
        map.apply(input, rows: rows, into: output, pool: pool)
      }
      return
    }
    preparation.prepared(input, rows: rows).values.withUnsafeBufferPointer { values in
      guard let start = values.baseAddress else { return }
      for (map, output) in zip(maps, outputs) {
        map.applyPrepared(start, rows: rows, into: output, pool: pool)
      }
    }
  }
}
