import Architectures
import Tensors

/// A model that differs from another in some weights, on its own sequences.
public struct ModelVariant: Sendable {
  /// Blocks' weights and the final norm; embeddings, positions and head stay the original's.
  public let weights: any WeightProvider
  public let batch: TokenBatch
  /// The only rows whose final states count, ascending; nil: all.
  public let rows: [Int]?
  /// The states that enter the first block that is run; nil: the embeddings.
  public let states: Matrix<Float>?

  public init(
    weights: any WeightProvider, batch: TokenBatch, rows: [Int]? = nil,
    states: Matrix<Float>? = nil
  ) {
    self.weights = weights
    self.batch = batch
    self.rows = rows
    self.states = states
  }
}

extension LanguageModel {
  /// Final hidden states of several variants of this model, each `batch.rows × width`.
  ///
  /// All variants go through a block before any goes through the next, so that a block's stored
  /// weights are touched once for all of them; a variant's own weights live for one block only.
  /// Two that follow each other on the same sequences, as the sides of a perturbation do, go tile
  /// by tile together: a tile's codes are unpacked once for both. Pairs are shared out among the
  /// workers, and a single pair's sequences. A variant's bits do not depend on the others where
  /// products are exact (`RowProduct.isExact`).
  ///
  /// - Parameter first: the first block that is run, where variants bring the states before it.
  /// - Throws: what hidden states throw, and what a variant's provider throws.
  public func hiddenStates(
    of variants: [ModelVariant], from first: Int = 0
  ) throws -> [Matrix<Float>] {
    for variant in variants {
      try variant.batch.validate(for: description)
      precondition(first == 0 || variant.states != nil, "block \(first) has nothing to start from")
    }
    let lanes = Lane.lanes(variants, trunk: trunk)
    try pool.forEach(lanes.count) { (index: Int) throws -> Void in lanes[index].embed() }
    for block in description.blocks[first...] {
      if lanes.count == 1 {
        try lanes[0].pass(block, pool: pool)
      } else {
        try pool.forEach(lanes.count) { (index: Int) throws -> Void in
          try lanes[index].pass(block, pool: .serial)
        }
      }
    }
    let places = lanes.indices.flatMap { lane in
      lanes[lane].variants.indices.map { (lane: lane, side: $0) }
    }
    return try pool.map(places.count) { (index: Int) throws -> Matrix<Float> in
      try lanes[places[index].lane].finish(side: places[index].side)
    }
  }
}

/// One or two variants on their way through the blocks.
///
/// States lie run of sequences by run of sequences, each run's rows of the first variant before
/// those of the second.
private final class Lane: @unchecked Sendable {
  // Runs of sequences have their own places; the pool hands one to one worker at a time.
  let variants: [ModelVariant]
  private let trunk: ModelTrunk
  private let runs: [Range<Int>]
  private let width: Int
  private let states: UnsafeMutableBufferPointer<Float>

  private var batch: TokenBatch { variants[0].batch }

  static func lanes(_ variants: [ModelVariant], trunk: ModelTrunk) -> [Lane] {
    var pairs: [[ModelVariant]] = []
    for variant in variants {
      if let last = pairs.last, last.count == 1, last[0].goesWith(variant) {
        pairs[pairs.count - 1].append(variant)
      } else {
        pairs.append([variant])
      }
    }
    // A lane alone is shared out by its sequences.
    return pairs.map { Lane($0, trunk: trunk, isAlone: pairs.count == 1) }
  }

  private init(_ variants: [ModelVariant], trunk: ModelTrunk, isAlone: Bool) {
    self.variants = variants
    self.trunk = trunk
    width = trunk.model.hiddenSize
    let batch = variants[0].batch
    // An even number of runs, so that two workers end together.
    let count = isAlone && batch.rows >= 256 ? 2 * ((batch.rows + 2047) / 2048) : 1
    runs = batch.shares(count, ofRows: trunk.blockwisePassRows / variants.count)
    states = .allocate(capacity: max(variants.count * batch.rows * width, 1))
    states.initialize(repeating: 0)
  }

  deinit { states.deallocate() }

  /// The first of a run's rows of one side.
  private func firstRow(_ run: Range<Int>, side: Int) -> Int {
    let (start, end) = (batch.offsets[run.lowerBound], batch.offsets[run.upperBound])
    return variants.count * start + side * (end - start)
  }

  private func rows(_ run: Range<Int>, side: Int) -> UnsafeMutablePointer<Float>? {
    states.baseAddress.map { $0 + firstRow(run, side: side) * width }
  }

  func embed() {
    for (side, variant) in variants.enumerated() {
      for run in runs {
        guard let x = rows(run, side: side) else { continue }
        guard let given = variant.states else {
          trunk.embed(batch, run, cache: nil, into: x)
          continue
        }
        precondition(given.values.count <= states.count, "states of other sequences")
        let start = batch.offsets[run.lowerBound] * width
        let count = batch.offsets[run.upperBound] * width - start
        given.values.withUnsafeBufferPointer { values in
          guard let from = values.baseAddress else { return }
          x.update(from: from + start, count: count)
        }
      }
    }
  }

  func pass(_ block: BlockDescription, pool: WorkerPool) throws {
    let prepared = try pool.map(variants.count) { (side: Int) throws -> PreparedBlock in
      try PreparedBlock(block, from: variants[side].weights)
    }
    let isLast = block.index == trunk.model.blocks.count - 1
    try pool.forEach(runs.count) { (index: Int) throws -> Void in
      let run = runs[index]
      guard let x = rows(run, side: 0) else { return }
      let start = batch.offsets[run.lowerBound]
      let range = start..<batch.offsets[run.upperBound]
      let wanted = isLast ? variants[0].rows?.filter(range.contains).map { $0 - start } : nil
      try trunk.pass(sides: prepared, batch, run).run(x, finishing: wanted)
    }
  }

  func finish(side: Int) throws -> Matrix<Float> {
    let variant = variants[side]
    let model = variant.weights.description
    let norm = try model.finalNorm.map {
      try Norm($0, model.normalization, from: variant.weights)
    }
    return Matrix(rows: batch.rows, columns: trunk.outputWidth) { target in
      guard let result = target.baseAddress else { return }
      for run in runs {
        let range = batch.offsets[run.lowerBound]..<batch.offsets[run.upperBound]
        guard let x = rows(run, side: side) else { continue }
        let y = result + range.lowerBound * trunk.outputWidth
        if let projection = trunk.outputProjection {
          norm?.apply(x, rows: range.count, into: x)
          projection.apply(x, rows: range.count, into: y, pool: trunk.pool)
        } else if let rows = variant.rows {
          // What the other rows hold is never read.
          y.initialize(repeating: 0, count: range.count * width)
          for row in rows where range.contains(row) {
            let place = (row - range.lowerBound) * width
            (y + place).update(from: x + place, count: width)
            norm?.apply(y + place, rows: 1, into: y + place)
          }
        } else {
          norm?.apply(x, rows: range.count, into: x)
          y.initialize(from: x, count: range.count * width)
        }
      }
    }
  }
}

extension ModelVariant {
  /// Whether another may share the passes: the same sequences, and the same rows wanted of them.
  fileprivate func goesWith(_ other: ModelVariant) -> Bool {
    batch.offsets == other.batch.offsets && batch.tokens == other.batch.tokens
      && batch.prefixes == other.batch.prefixes && batch.tokenTypes == other.batch.tokenTypes
      && rows == other.rows
  }
}
