import Weights

extension BlockPass {
  /// Keys and values of one sequence that become rounded during this pass.
  private struct Rounded: Sendable {
    let segment: Segment
    /// Tokens that are rounded for some query of the pass, but not yet in the cache.
    let tokens: Range<Int>
    /// Where their keys begin in the pass's rounded numbers; their values follow.
    let place: Int
  }

  /// Attention over older tokens as they are kept, rounded, and newer ones as they are.
  ///
  /// Every query sees what it would see if its token were the last (`KeyValueScheme.rounded`), so
  /// that a window at once and token by token give the same.
  func attend(_ buffers: AttentionBuffers, rounding scheme: KeyValueScheme) {
    let width = model.attention.keyValueWidth
    var parts: [Rounded] = []
    var total = 0
    for segment in segments {
      let from = cache == nil ? 0 : scheme.rounded(of: segment.past)
      let tokens = from..<max(from, scheme.rounded(of: segment.past + segment.rows.count))
      parts.append(Rounded(segment: segment, tokens: tokens, place: total))
      total += 2 * tokens.count * width
    }
    let rounded = parts
    scratch.with(total) { memory in
      // Parts and tiles write to disjoint places.
      nonisolated(unsafe) let memory = memory
      pool.forEach(rounded.count) { (index: Int) -> Void in
        round(rounded[index], buffers, scheme, into: memory)
      }
      let tiles = rounded.flatMap { part in
        self.tiles(of: part.segment, scheme).map { (part: part, tile: $0) }
      }
      pool.forEach(tiles.count) { (index: Int) -> Void in
        let (part, tile) = tiles[index]
        attend(tile, part, buffers, scheme, rounded: memory)
      }
      for part in rounded { keep(part, buffers, memory) }
    }
  }

  /// Tiles whose queries all see the same tokens rounded.
  private func tiles(of segment: Segment, _ scheme: KeyValueScheme) -> [Tile] {
    var result: [Tile] = []
    var first = 0
    while first < segment.rows.count {
      let boundary = scheme.rounded(of: segment.past + first + 1)
      var last = first + 1
      while last < segment.rows.count, last - first < Self.tileQueries,
        scheme.rounded(of: segment.past + last + 1) == boundary
      { last += 1 }
      for head in 0..<model.attention.keyValueHeads {
        result.append(Tile(segment: segment, head: head, queries: first..<last))
      }
      first = last
    }
    return result
  }

  private func round(
    _ part: Rounded, _ buffers: AttentionBuffers, _ scheme: KeyValueScheme,
    into memory: UnsafeMutablePointer<Float>
  ) {
    guard let (keys, values) = keysAndValues(part.segment, buffers), !part.tokens.isEmpty
    else { return }
    let width = model.attention.keyValueWidth
    let count = part.tokens.count * width
    let from = part.tokens.lowerBound * width
    let target = memory + part.place
    target.update(from: keys + from, count: count)
    (target + count).update(from: values + from, count: count)
    let dimension = model.attention.headDimension
    scheme.roundKeys(target, tokens: part.tokens.count, width: width, headDimension: dimension)
    scheme.roundValues(
      target + count, tokens: part.tokens.count, width: width, headDimension: dimension)
  }

  /// One tile over a copy of its head's keys and values, each token as the tile's queries see it.
  private func attend(
    _ tile: Tile, _ part: Rounded, _ buffers: AttentionBuffers, _ scheme: KeyValueScheme,
    rounded: UnsafeMutablePointer<Float>
  ) {
    guard let (keys, values) = keysAndValues(tile.segment, buffers) else { return }
    let (dimension, width) = (model.attention.headDimension, model.attention.keyValueWidth)
    let tokens = tokens(of: tile)
    let boundary = scheme.rounded(of: tile.segment.past + tile.queries.lowerBound + 1)
    let column = tile.head * dimension
    let ownKeys = rounded + part.place
    let ownValues = ownKeys + part.tokens.count * width
    scratch.with(2 * tokens.count * dimension) { copy in
      let copiedValues = copy + tokens.count * dimension
      for (line, token) in tokens.enumerated() {
        let isRounded = part.tokens.contains(token) && token < boundary
        let offset = (isRounded ? token - part.tokens.lowerBound : token) * width + column
        (copy + line * dimension).update(
          from: (isRounded ? ownKeys : keys) + offset, count: dimension)
        (copiedValues + line * dimension).update(
          from: (isRounded ? ownValues : values) + offset, count: dimension)
      }
      attend(
        tile, buffers, HeadMemory(keys: copy, values: copiedValues, stride: dimension))
    }
  }

  /// Leaves in the cache what the next pass will see.
  private func keep(
    _ part: Rounded, _ buffers: AttentionBuffers, _ memory: UnsafeMutablePointer<Float>
  ) {
    guard cache != nil, let (keys, values) = keysAndValues(part.segment, buffers) else { return }
    let width = model.attention.keyValueWidth
    let count = part.tokens.count * width
    let from = part.tokens.lowerBound * width
    (keys + from).update(from: memory + part.place, count: count)
    (values + from).update(from: memory + part.place + count, count: count)
  }
}
