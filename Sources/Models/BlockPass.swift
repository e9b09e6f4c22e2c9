import Architectures
import Kernels
import Tensors
import Weights

/// Some sequences on their way through one block.
///
/// A pass may have several sides, as the two of a perturbation: the same sequences with other
/// weights, whose rows lie behind those of the side before. Sides go tile by tile together, so that
/// codes that their weights share are unpacked once.
struct BlockPass {
  let model: ModelDescription
  /// The block as each side has it, one or more.
  let sides: [PreparedBlock]
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

  /// The first side's, where only the description matters or there is no other.
  var block: PreparedBlock { sides[0] }

  /// The rows of each side.
  var sideRows: Int { positions.count / sides.count }

  /// One side's rows of a tile.
  struct Part {
    let block: PreparedBlock
    let rows: Range<Int>
  }

  /// One sequence's rows.
  struct Segment: Sendable {
    let rows: Range<Int>
    /// The sequence's number in the cache.
    let sequence: Int
    /// Tokens before the sequence's own, in the cache or in the prefix.
    let past: Int
    /// Rows of this pass that come before the sequence's own.
    let prefix: Range<Int>?

    /// The same sequence with its rows further on.
    func moved(by count: Int) -> Segment {
      Segment(
        rows: rows.lowerBound + count..<rows.upperBound + count, sequence: sequence, past: past,
        prefix: prefix.map { $0.lowerBound + count..<$0.upperBound + count })
    }
  }

  /// Rows per tile: enough for decoding and packing a weight to pay, few enough to share out.
  ///
  /// Depends on the rows alone, so that any number of workers cuts alike.
  /// Of several sides, the rows of each: a small pass takes no more scratch for having two.
  static func tileRows(_ rows: Int, sides: Int = 1) -> Int { rows >= 1024 ? 512 : 256 / sides }

  /// Numbers of scratch that a pass takes per row, besides one tile per worker.
  static func scratchPerRow(_ model: ModelDescription) -> Int {
    2 * model.attention.queryWidth + 2 * model.attention.keyValueWidth
  }

  /// x ← block(x), `rows × hiddenSize`.
  ///
  /// - Parameter finishing: the only rows of each side that get their result, ascending; what the
  ///   others hold afterwards is arbitrary. Behind attention a row's result needs no other row.
  func run(_ x: UnsafeMutablePointer<Float>, finishing: [Int]? = nil) throws {
    if let observer { return try watched(x, by: observer) }
    let rows = positions.count
    scratch.with(rows * Self.scratchPerRow(model)) { memory in
      let buffers = AttentionBuffers(memory, rows: rows, shape: model.attention)
      forEachTile { parts in project(x, parts, buffers) }
      storeInCache(buffers)
      attendWithScheme(buffers)
      guard let finishing, finishing.count < sideRows else {
        return forEachTile { parts in
          addAttention(buffers.attended, to: x, parts)
          addFeedForward(to: x, parts)
        }
      }
      let (width, inner) = (model.hiddenSize, model.attention.queryWidth)
      for first in stride(from: 0, to: rows, by: sideRows) {
        for (place, row) in finishing.enumerated() where place != row {
          let (to, from) = (first + place, first + row)
          (x + to * width).update(from: x + from * width, count: width)
          (buffers.attended + to * inner).update(
            from: buffers.attended + from * inner, count: inner)
        }
      }
      forEachTile(of: finishing.count) { parts in
        addAttention(buffers.attended, to: x, parts)
        addFeedForward(to: x, parts)
      }
      for first in stride(from: 0, to: rows, by: sideRows) {
        for (place, row) in finishing.enumerated().reversed() where place != row {
          (x + (first + row) * width).update(from: x + (first + place) * width, count: width)
        }
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

  /// Tiles of rows by all workers: the same rows of every side.
  ///
  /// - Parameter rows: how many of each side's, from its first; nil: all.
  func forEachTile(of rows: Int? = nil, _ body: ([Part]) -> Void) {
    let rows = rows ?? sideRows
    withoutActuallyEscaping(body) { body in
      // Tiles write to disjoint rows.
      nonisolated(unsafe) let body = body
      let sides = sides
      // Tiles of about one length: a short last one would pay for decoding all the same.
      let limit = Self.tileRows(rows * sides.count, sides: sides.count)
      let tiles = max(1, (rows + limit - 1) / limit)
      let length = max(1, (rows + tiles - 1) / tiles)
      let sideRows = sideRows
      try? pool.forEachRange(count: rows, length: length) { range in
        body(
          sides.enumerated().map { side, block in
            let first = side * sideRows
            return Part(
              block: block, rows: first + range.lowerBound..<first + range.upperBound)
          })
      }
    }
  }

  /// Norm, queries, keys, values and rotary positions of some rows.
  func project(
    _ x: UnsafeMutablePointer<Float>, _ parts: [Part], _ buffers: AttentionBuffers
  ) {
    let width = model.hiddenSize
    let count = parts.rows
    let fused = block.projections.count == 1
    let shape = model.attention
    let fusedWidth = fused ? block.projections[0].outputs : 0
    scratch.with(count * (width + fusedWidth)) { memory in
      let inputs = normalized(x, parts, into: memory) { $0.attentionNorm }
      let targets = parts.map { part in
        let first = part.rows.lowerBound
        return [
          (buffers.query + first * shape.queryWidth, shape.queryWidth),
          (buffers.key + first * shape.keyValueWidth, shape.keyValueWidth),
          (buffers.value + first * shape.keyValueWidth, shape.keyValueWidth),
        ]
      }
      if fused {
        let all = parts.places(memory + count * width, width: fusedWidth)
        apply(parts, \.projections, \.projectionPreparation, inputs, into: all.map { [$0] })
        for (part, (all, targets)) in zip(parts, zip(all, targets)) {
          Self.split(all, part.rows.count, width: fusedWidth, into: targets)
        }
      } else {
        apply(
          parts, \.projections, \.projectionPreparation, inputs,
          into: targets.map { $0.map(\.0) })
      }
      for (part, targets) in zip(parts, targets) {
        turn(part, query: targets[0].0, key: targets[1].0, value: targets[2].0)
      }
    }
  }

  /// Lays the columns of a fused map's result out as several.
  private static func split(
    _ all: UnsafePointer<Float>, _ rows: Int, width: Int,
    into targets: [(UnsafeMutablePointer<Float>, Int)]
  ) {
    var column = 0
    for (target, part) in targets {
      for row in 0..<rows {
        (target + row * part).update(from: all + row * width + column, count: part)
      }
      column += part
    }
  }

  /// Norms of the heads, rotary positions and stored scales of one side's rows.
  private func turn(
    _ part: Part, query: UnsafeMutablePointer<Float>, key: UnsafeMutablePointer<Float>,
    value: UnsafeMutablePointer<Float>
  ) {
    let (count, shape) = (part.rows.count, model.attention)
    part.block.queryNorm?.apply(query, rows: count * shape.heads, into: query)
    part.block.keyNorm?.apply(key, rows: count * shape.keyValueHeads, into: key)
    // Rounded as they come to the cache: after rotary positions.
    defer { roundToStoredScales(key, value, count) }
    guard let rotary else { return }
    positions.withUnsafeBufferPointer { positions in
      guard let position = positions.baseAddress.map({ $0 + part.rows.lowerBound }) else { return }
      pith_rotary(
        query, count, shape.heads, shape.headDimension, position, rotary.cosines, rotary.sines)
      pith_rotary(
        key, count, shape.keyValueHeads, shape.headDimension, position, rotary.cosines,
        rotary.sines)
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
    _ attended: UnsafeMutablePointer<Float>, to x: UnsafeMutablePointer<Float>, _ parts: [Part]
  ) {
    let inner = model.attention.queryWidth
    add(to: x, parts, { [$0.attentionOutput] }, parts.map { attended + $0.rows.lowerBound * inner })
    guard model.normalization.placement == .after else { return }
    for part in parts {
      let rows = x + part.rows.lowerBound * model.hiddenSize
      part.block.attentionNorm.apply(rows, rows: part.rows.count, into: rows)
    }
  }

  /// The feed-forward part and its residual sum of some rows.
  func addFeedForward(to x: UnsafeMutablePointer<Float>, _ parts: [Part]) {
    let inner = block.description.feedForward.width
    scratch.with(parts.rows * inner) { memory in
      let hidden = parts.places(memory, width: inner)
      activate(x, parts, into: hidden)
      addOutput(of: hidden, to: x, parts)
    }
  }

  /// The feed-forward part's last map and its residual sum of some rows.
  ///
  /// - Parameter hidden: what each side's last map reads.
  func addOutput(
    of hidden: [UnsafeMutablePointer<Float>], to x: UnsafeMutablePointer<Float>, _ parts: [Part]
  ) {
    add(to: x, parts, { [$0.feedForwardOutput] }, hidden)
    guard model.normalization.placement == .after else { return }
    for part in parts {
      let rows = x + part.rows.lowerBound * model.hiddenSize
      part.block.feedForwardNorm.apply(rows, rows: part.rows.count, into: rows)
    }
  }

  /// What the last map of the feed-forward part reads.
  ///
  /// - Parameter hidden: where each side's goes, its rows of the tile × the width of the part.
  func activate(
    _ x: UnsafeMutablePointer<Float>, _ parts: [Part], into hidden: [UnsafeMutablePointer<Float>]
  ) {
    let feedForward = block.description.feedForward
    let (width, inner) = (model.hiddenSize, feedForward.width)
    let gated = block.feedForwardInputs.count == 2
    let count = parts.rows
    scratch.with(count * (width + (gated ? inner : 0))) { memory in
      let inputs = normalized(x, parts, into: memory) { $0.feedForwardNorm }
      let ups = parts.places(memory + count * width, width: gated ? inner : 0)
      apply(
        parts, \.feedForwardInputs, \.feedForwardPreparation, inputs,
        into: zip(hidden, ups).map { gated ? [$0, $1] : [$0] })
      let activation = feedForward.activation.kernel
      for (part, (hidden, up)) in zip(parts, zip(hidden, ups)) {
        if gated {
          pith_activate_gated(activation, hidden, up, part.rows.count * inner)
        } else {
          pith_activate(activation, hidden, part.rows.count * inner)
        }
      }
    }
  }

  /// What the maps behind a norm read: its result, or the rows themselves where norms come after.
  private func normalized(
    _ x: UnsafeMutablePointer<Float>, _ parts: [Part], into memory: UnsafeMutablePointer<Float>,
    _ norm: (PreparedBlock) -> Norm
  ) -> [UnsafePointer<Float>] {
    zip(parts, parts.places(memory, width: model.hiddenSize)).map { part, place in
      let rows = UnsafePointer(x + part.rows.lowerBound * model.hiddenSize)
      guard model.normalization.placement == .before else { return rows }
      norm(part.block).apply(rows, rows: part.rows.count, into: place)
      return UnsafePointer(place)
    }
  }

  /// x ← x + a map of each side's inputs.
  private func add(
    to x: UnsafeMutablePointer<Float>, _ parts: [Part], _ map: (PreparedBlock) -> [LinearMap],
    _ inputs: [UnsafeMutablePointer<Float>]
  ) {
    let width = model.hiddenSize
    scratch.with(parts.rows * width) { memory in
      let places = parts.places(memory, width: width)
      let maps = parts.map { map($0.block) }
      apply(
        parts, maps, maps.map { $0[0].preparation }, inputs.map { UnsafePointer($0) },
        into: places.map { [$0] })
      for (part, place) in zip(parts, places) {
        pith_add(x + part.rows.lowerBound * width, place, part.rows.count * width)
      }
    }
  }

  private func apply(
    _ parts: [Part], _ maps: KeyPath<PreparedBlock, [LinearMap]>,
    _ preparation: KeyPath<PreparedBlock, InputPreparation?>, _ inputs: [UnsafePointer<Float>],
    into outputs: [[UnsafeMutablePointer<Float>]]
  ) {
    apply(
      parts, parts.map { $0.block[keyPath: maps] }, parts.map { $0.block[keyPath: preparation] },
      inputs, into: outputs)
  }

  /// Several maps of one input, on every side; what all of a side's do to it first is done once.
  ///
  /// - Parameter outputs: of each side, one for each of its maps.
  private func apply(
    _ parts: [Part], _ maps: [[LinearMap]], _ preparations: [InputPreparation?],
    _ inputs: [UnsafePointer<Float>], into outputs: [[UnsafeMutablePointer<Float>]]
  ) {
    let shared = parts.indices.map {
      PreparedInputs(preparation: preparations[$0], x: inputs[$0], rows: parts[$0].rows.count)
    }
    PreparedInputs.with(shared[...]) { inputs in
      for index in maps[0].indices {
        // Where readers of one input do not agree on what is done to it, each does its own.
        let own = parts.indices.map { side in
          PreparedInputs(
            preparation: preparations[side] == nil ? maps[side][index].preparation : nil,
            x: inputs[side], rows: parts[side].rows.count)
        }
        PreparedInputs.with(own[...]) { inputs in
          LinearMap.applyPrepared(
            parts.indices.map { side in
              LinearMap.Product(
                map: maps[side][index], x: inputs[side], rows: parts[side].rows.count,
                y: outputs[side][index])
            }, pool: pool)
        }
      }
    }
  }
}

extension [BlockPass.Part] {
  /// The rows of all sides.
  var rows: Int { reduce(0) { $0 + $1.rows.count } }

  /// Where each side's rows go in memory that is laid out side after side.
  func places(
    _ memory: UnsafeMutablePointer<Float>, width: Int
  ) -> [UnsafeMutablePointer<Float>] {
    var (result, next): ([UnsafeMutablePointer<Float>], Int) = ([], 0)
    for part in self {
      result.append(memory + next * width)
      next += part.rows.count
    }
    return result
  }
}
