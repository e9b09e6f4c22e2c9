import Architectures
import Kernels
import LinearAlgebra

/// Queries, keys, values and attention's result for all rows of a pass.
struct AttentionBuffers: @unchecked Sendable {
  let query: UnsafeMutablePointer<Float>
  let key: UnsafeMutablePointer<Float>
  let value: UnsafeMutablePointer<Float>
  let attended: UnsafeMutablePointer<Float>

  /// Buffers within memory of `BlockPass.scratchPerRow` numbers a row.
  ///
  /// - Parameter attended: where attention's result goes instead, `rows × queryWidth`.
  init(
    _ memory: UnsafeMutablePointer<Float>, rows: Int, shape: AttentionShape,
    attended: UnsafeMutablePointer<Float>? = nil
  ) {
    query = memory
    self.attended = attended ?? query + rows * shape.queryWidth
    key = query + 2 * rows * shape.queryWidth
    value = key + rows * shape.keyValueWidth
  }
}

extension BlockPass {
  /// Queries per tile; a tile transposes its keys anew, or keeps its scores in the second-level
  /// cache.
  static let tileQueries = 256
  /// Fewer queries than this do not pay for transposing the keys.
  static let fusedQueries = 16

  /// One tile of attention: some queries of one sequence, all heads that share a key/value head.
  struct Tile: Sendable {
    let segment: Segment
    let head: Int
    let queries: Range<Int>
  }

  /// Keys and values of one head, a line a token.
  struct HeadMemory {
    let keys: UnsafePointer<Float>
    let values: UnsafePointer<Float>
    let stride: Int
  }

  /// Appends the new keys and values to the cache.
  func storeInCache(_ buffers: AttentionBuffers) {
    guard let cache else { return }
    let width = model.attention.keyValueWidth
    for segment in segments {
      guard
        let keys = cache.keys(block: block.description.index, sequence: segment.sequence),
        let values = cache.values(block: block.description.index, sequence: segment.sequence)
      else { continue }
      let count = segment.rows.count * width
      let from = segment.rows.lowerBound * width
      (keys + segment.past * width).update(from: buffers.key + from, count: count)
      (values + segment.past * width).update(from: buffers.value + from, count: count)
    }
  }

  /// softmax(scale · Q Kᵀ) V per head, into `buffers.attended`.
  func attend(_ buffers: AttentionBuffers) {
    var tiles: [Tile] = []
    for segment in segments {
      for head in 0..<model.attention.keyValueHeads {
        for first in stride(from: 0, to: segment.rows.count, by: Self.tileQueries) {
          let last = min(first + Self.tileQueries, segment.rows.count)
          tiles.append(Tile(segment: segment, head: head, queries: first..<last))
        }
      }
    }
    let list = tiles
    pool.forEach(list.count) { (tile: Int) -> Void in
      let tile = list[tile]
      guard let (keys, values) = keysAndValues(tile.segment, buffers) else { return }
      let tokens = tokens(of: tile)
      let offset =
        tokens.lowerBound * model.attention.keyValueWidth
        + tile.head * model.attention.headDimension
      if let prefix = tile.segment.prefix {
        return attend(tile, buffers, after: prefix)
      }
      attend(
        tile, buffers,
        HeadMemory(
          keys: keys + offset, values: values + offset, stride: model.attention.keyValueWidth))
    }
  }

  /// One tile's attention over the rows of a prefix and the sequence's own, laid end to end.
  private func attend(_ tile: Tile, _ buffers: AttentionBuffers, after prefix: Range<Int>) {
    let (width, dimension) = (model.attention.keyValueWidth, model.attention.headDimension)
    let tokens = tokens(of: tile)
    let rows = Array(prefix) + Array(tile.segment.rows)
    scratch.with(2 * tokens.count * dimension) { memory in
      let values = memory + tokens.count * dimension
      for (place, row) in rows[tokens].enumerated() {
        let from = row * width + tile.head * dimension
        (memory + place * dimension).update(from: buffers.key + from, count: dimension)
        (values + place * dimension).update(from: buffers.value + from, count: dimension)
      }
      attend(tile, buffers, HeadMemory(keys: memory, values: values, stride: dimension))
    }
  }

  /// The tokens that some query of a tile sees.
  func tokens(of tile: Tile) -> Range<Int> {
    let all = tile.segment.past + tile.segment.rows.count
    guard model.attention.causal else { return 0..<all }
    let window = block.description.window ?? 0
    let position = tile.segment.past + tile.queries.lowerBound
    return (window > 0 ? max(0, position + 1 - window) : 0)..<tile.segment.past
      + tile.queries.upperBound
  }

  /// One tile's attention; the memory begins at the first token that the tile sees.
  func attend(_ tile: Tile, _ buffers: AttentionBuffers, _ memory: HeadMemory) {
    let shape = model.attention
    let dimension = shape.headDimension
    let segment = tile.segment
    let tokens = tokens(of: tile)
    let (first, keys) = (tokens.lowerBound, tokens.count)
    let position = segment.past + tile.queries.lowerBound
    let window = block.description.window ?? 0
    let count = tile.queries.count
    let scale = 1 / Float(dimension).squareRoot()
    let group = shape.heads / shape.keyValueHeads
    let row = segment.rows.lowerBound + tile.queries.lowerBound
    let columns = (tile.head * group..<(tile.head + 1) * group).map {
      row * shape.queryWidth + $0 * dimension
    }
    let causal: Int32 = shape.causal ? 1 : 0
    if count >= Self.fusedQueries, dimension % 16 == 0, Self.fusedIsFast {
      let stride = (keys + 31) / 32 * 32
      scratch.with((dimension + 8) * stride) { transposed in
        pith_transpose_keys(memory.keys, memory.stride, keys, dimension, transposed, stride)
        for column in columns {
          pith_attention(
            buffers.query + column, shape.queryWidth, transposed, stride, memory.values,
            memory.stride,
            buffers.attended + column, shape.queryWidth, count, keys, dimension, causal,
            position - first, window, scale, transposed + dimension * stride)
        }
      }
      return
    }
    scratch.with(count * keys) { scores in
      for column in columns {
        BLAS.gemm(
          m: count, n: keys, k: dimension, alpha: 1, a: buffers.query + column,
          lda: shape.queryWidth, transposeA: false, b: memory.keys, ldb: memory.stride,
          transposeB: true,
          beta: 0, c: scores, ldc: keys)
        pith_masked_softmax(
          scores, count, keys, keys, causal, position - first, window, scale)
        BLAS.gemm(
          m: count, n: dimension, k: keys, alpha: 1, a: scores, lda: keys, transposeA: false,
          b: memory.values, ldb: memory.stride, transposeB: false, beta: 0,
          c: buffers.attended + column, ldc: shape.queryWidth)
      }
    }
  }

  private static let fusedIsFast = pith_attention_is_fast() != 0

  /// The keys and values of a sequence from its first token on: the cache's, or this pass's own.
  func keysAndValues(
    _ segment: Segment, _ buffers: AttentionBuffers
  ) -> (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>)? {
    guard let cache else {
      let from = segment.rows.lowerBound * model.attention.keyValueWidth
      return (buffers.key + from, buffers.value + from)
    }
    guard
      let keys = cache.keys(block: block.description.index, sequence: segment.sequence),
      let values = cache.values(block: block.description.index, sequence: segment.sequence)
    else { return nil }
    return (keys, values)
  }
}
