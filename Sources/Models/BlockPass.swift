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
  /// Stored scales that keys and values are rounded under; nil: none.
  let keyValueScales: KeyValueScales?
  let observer: (any SiteObserver)?
  let scratch: ScratchMemory
  let pool: WorkerPool

  /// One sequence's rows.
  struct Segment: Sendable {
    let rows: Range<Int>
    /// The sequence's number in the cache.
    let sequence: Int
    /// Tokens before the sequence's own, in the cache or in the prefix.
    let past: Int
    /// Rows of this pass that come before the sequence's own.
    let prefix: Range<Int>?
  }

  /// Rows per tile: enough for decoding and packing a weight to pay, few enough to share out.
  ///
  /// Depends on the rows alone, so that any number of workers cuts alike.
  static func tileRows(_ rows: Int) -> Int { rows >= 1024 ? 512 : 256 }

  /// Numbers of scratch that a pass takes per row, besides one tile per worker.
  static func scratchPerRow(_ model: ModelDescription) -> Int {
    2 * model.attention.queryWidth + 2 * model.attention.keyValueWidth
  }

  /// x ← block(x), `rows × hiddenSize`.
  ///
  /// - Parameter finishing: the only rows that get their result, ascending; what the others hold
  ///   afterwards is arbitrary. Behind attention a row's result needs no other row.
  func run(_ x: UnsafeMutablePointer<Float>, finishing: [Int]? = nil) throws {
    if let observer { return try watched(x, by: observer) }
    let rows = positions.count
    scratch.with(rows * Self.scratchPerRow(model)) { memory in
      let buffers = AttentionBuffers(memory, rows: rows, shape: model.attention)
      forEachTile(rows) { range in project(x, range, buffers) }
      storeInCache(buffers)
      attendWithScheme(buffers)
      guard let finishing, finishing.count < rows else {
        return forEachTile(rows) { range in
          addAttention(buffers.attended, to: x, range)
          addFeedForward(to: x, range)
        }
      }
      let (width, inner) = (model.hiddenSize, model.attention.queryWidth)
      for (place, row) in finishing.enumerated() where place != row {
        (x + place * width).update(from: x + row * width, count: width)
        (buffers.attended + place * inner).update(
          from: buffers.attended + row * inner, count: inner)
      }
      forEachTile(finishing.count) { range in
        addAttention(buffers.attended, to: x, range)
        addFeedForward(to: x, range)
      }
      for (place, row) in finishing.enumerated().reversed() where place != row {
        (x + row * width).update(from: x + place * width, count: width)
      }
    }
  }

  /// Attention, older keys and values rounded where the model says so.
  func attendWithScheme(_ buffers: AttentionBuffers) {
    if let keyValueScheme {
      attend(buffers, rounding: keyValueScheme)
    } else {
      attend(buffers)
    }
  }

  /// Tiles of rows by all workers.
  func forEachTile(_ rows: Int, _ body: (Range<Int>) -> Void) {
    withoutActuallyEscaping(body) { body in
      // Tiles write to disjoint rows.
      nonisolated(unsafe) let body = body
      try? pool.forEachRange(count: rows, length: Self.tileRows(rows)) { range in body(range) }
    }
  }

  /// Norm, queries, keys, values and rotary positions of some rows.
  func project(
    _ x: UnsafeMutablePointer<Float>, _ range: Range<Int>, _ buffers: AttentionBuffers
  ) {
    let width = model.hiddenSize
    let count = range.count
    let rows = x + range.lowerBound * width
    let maps = block.projections
    let fused = maps.count == 1
    let shape = model.attention
    let fusedWidth = fused ? maps[0].outputs : 0
    scratch.with(count * (width + fusedWidth)) { memory in
      var input = UnsafePointer(rows)
      if model.normalization.placement == .before {
        block.attentionNorm.apply(rows, rows: count, into: memory)
        input = UnsafePointer(memory)
      }
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
          maps, sharing: block.projectionPreparation, input, rows: count, into: [query, key, value])
      }
      block.queryNorm?.apply(query, rows: count * shape.heads, into: query)
      block.keyNorm?.apply(key, rows: count * shape.keyValueHeads, into: key)
      // Rounded as they come to the cache: after rotary positions.
      defer { roundToStoredScales(key, value, count) }
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

  private func roundToStoredScales(
    _ keys: UnsafeMutablePointer<Float>, _ values: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    guard let scales = keyValueScales else { return }
    let (width, layer) = (model.attention.keyValueWidth, block.description.index)
    scales.roundKeys(keys, tokens: count, width: width, layer: layer)
    scales.roundValues(values, tokens: count, width: width, layer: layer)
  }

  /// Attention's output map and its residual sum of some rows.
  ///
  /// - Parameter attended: of all rows, `rows × queryWidth`.
  func addAttention(
    _ attended: UnsafeMutablePointer<Float>, to x: UnsafeMutablePointer<Float>, _ range: Range<Int>
  ) {
    let width = model.hiddenSize
    let count = range.count
    let rows = x + range.lowerBound * width
    scratch.with(count * width) { memory in
      let input = UnsafePointer(attended + range.lowerBound * model.attention.queryWidth)
      block.attentionOutput.apply(input, rows: count, into: memory, pool: pool)
      pith_add(rows, memory, count * width)
      if model.normalization.placement == .after {
        block.attentionNorm.apply(rows, rows: count, into: rows)
      }
    }
  }

  /// The feed-forward part and its residual sum of some rows.
  func addFeedForward(to x: UnsafeMutablePointer<Float>, _ range: Range<Int>) {
    let count = range.count
    let rows = x + range.lowerBound * model.hiddenSize
    scratch.with(count * block.description.feedForward.width) { hidden in
      activate(rows, count, into: hidden)
      addOutput(of: hidden, to: rows, count)
    }
  }

  /// The feed-forward part's last map and its residual sum of some rows.
  func addOutput(
    of hidden: UnsafePointer<Float>, to x: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    let width = model.hiddenSize
    scratch.with(count * width) { memory in
      block.feedForwardOutput.apply(hidden, rows: count, into: memory, pool: pool)
      pith_add(x, memory, count * width)
    }
    if model.normalization.placement == .after {
      block.feedForwardNorm.apply(x, rows: count, into: x)
    }
  }

  /// What the last map of the feed-forward part reads, of rows at `x`.
  func activate(
    _ x: UnsafePointer<Float>, _ count: Int, into hidden: UnsafeMutablePointer<Float>
  ) {
    let feedForward = block.description.feedForward
    let inner = feedForward.width
    let gated = block.feedForwardInputs.count == 2
    scratch.with(count * (model.hiddenSize + (gated ? inner : 0))) { memory in
      var input = x
      if model.normalization.placement == .before {
        block.feedForwardNorm.apply(x, rows: count, into: memory)
        input = UnsafePointer(memory)
      }
      let activation = feedForward.activation.kernel
      let up = memory + count * model.hiddenSize
      apply(
        block.feedForwardInputs, sharing: block.feedForwardPreparation, input, rows: count,
        into: gated ? [hidden, up] : [hidden])
      if gated {
        pith_activate_gated(activation, hidden, up, count * inner)
      } else {
        pith_activate(activation, hidden, count * inner)
      }
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
