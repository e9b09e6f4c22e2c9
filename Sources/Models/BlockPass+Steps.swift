import Architectures
import Kernels
import Tensors

/// A block in steps, one to each of its sites: what is behind a site needs no weights that come
/// after it, so that those may still change.
///
/// The steps run the same kernels over the same tiles as a whole pass: the same bits.
extension BlockPass {
  /// What the projections read, `rows × hiddenSize`.
  func attentionInput(_ x: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>) {
    enter(x, into: y) { $0.attentionNorm }
  }

  /// What attention's output map reads, `rows × queryWidth`.
  func attention(
    _ x: UnsafeMutablePointer<Float>, into attended: UnsafeMutablePointer<Float>
  ) {
    let rows = positions.count
    scratch.with(rows * Self.scratchPerRow(model)) { memory in
      let buffers = AttentionBuffers(
        memory, rows: rows, shape: model.attention, attended: attended)
      forEachTile { parts in project(x, parts, buffers) }
      observer?.observe(
        block: block.description.index, keys: buffers.key, values: buffers.value,
        count: rows * model.attention.keyValueWidth)
      storeInCache(buffers)
      attendWithScheme(buffers)
    }
  }

  /// x ← x + attention's output.
  func addAttention(_ attended: UnsafeMutablePointer<Float>, to x: UnsafeMutablePointer<Float>) {
    forEachTile { parts in addAttention(attended, to: x, parts) }
  }

  /// What the first maps of the feed-forward part read, `rows × hiddenSize`.
  func feedForwardInput(_ x: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>) {
    enter(x, into: y) { $0.feedForwardNorm }
  }

  /// What the last map of the feed-forward part reads, `rows × its width`.
  func feedForwardHidden(_ x: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>) {
    let inner = block.description.feedForward.width
    forEachTile { parts in
      activate(x, parts, into: parts.map { y + $0.rows.lowerBound * inner })
    }
  }

  /// x ← x + the feed-forward part's output, from what its last map reads.
  func addOutput(
    of hidden: UnsafeMutablePointer<Float>, to x: UnsafeMutablePointer<Float>
  ) {
    let inner = block.description.feedForward.width
    forEachTile { parts in
      addOutput(of: parts.map { hidden + $0.rows.lowerBound * inner }, to: x, parts)
    }
  }

  /// x ← x + the feed-forward part's output.
  func addFeedForward(to x: UnsafeMutablePointer<Float>) {
    forEachTile { parts in addFeedForward(to: x, parts) }
  }

  private func enter(
    _ x: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>,
    _ norm: @Sendable (PreparedBlock) -> Norm
  ) {
    let width = model.hiddenSize
    forEachTile { parts in
      for part in parts {
        let from = x + part.rows.lowerBound * width
        let to = y + part.rows.lowerBound * width
        if model.normalization.placement == .before {
          norm(part.block).apply(from, rows: part.rows.count, into: to)
        } else {
          to.update(from: from, count: part.rows.count * width)
        }
      }
    }
  }

  /// The whole block, every site shown to an observer on the way.
  func watched(_ x: UnsafeMutablePointer<Float>, by observer: any SiteObserver) throws {
    let rows = positions.count
    let sites = block.description.sites
    let widest = max(sites.map(\.width).max() ?? 0, model.hiddenSize)
    try scratch.with(rows * widest) { y in
      attentionInput(x, into: y)
      try observer.observe(sites[0], y, rows: rows)
      attention(x, into: y)
      try observer.observe(sites[1], y, rows: rows)
      addAttention(y, to: x)
      feedForwardInput(x, into: y)
      try observer.observe(sites[2], y, rows: rows)
      feedForwardHidden(x, into: y)
      try observer.observe(sites[3], y, rows: rows)
      addOutput(of: y, to: x)
    }
  }
}
