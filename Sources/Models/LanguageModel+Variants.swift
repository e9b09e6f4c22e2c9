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
  /// Variants are shared out among the workers. A variant's bits do not depend on the others.
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
    let lanes = variants.map { Lane($0, trunk: trunk) }
    try pool.forEach(lanes.count) { (index: Int) throws -> Void in lanes[index].embed() }
    for block in description.blocks[first...] {
      try pool.forEach(lanes.count) { (index: Int) throws -> Void in
        try lanes[index].pass(block)
      }
    }
    return try pool.map(lanes.count) { (index: Int) throws -> Matrix<Float> in
      try lanes[index].finish()
    }
  }
}

/// One variant on its way through the blocks.
private final class Lane: @unchecked Sendable {
  // The pool hands a lane to one worker at a time.
  private let variant: ModelVariant
  private let trunk: ModelTrunk
  private let chunks: [Range<Int>]
  private let width: Int
  private let states: UnsafeMutableBufferPointer<Float>

  init(_ variant: ModelVariant, trunk: ModelTrunk) {
    self.variant = variant
    self.trunk = trunk
    width = trunk.model.hiddenSize
    chunks = variant.batch.chunks(ofRows: trunk.blockwisePassRows)
    states = .allocate(capacity: max(variant.batch.rows * width, 1))
    states.initialize(repeating: 0)
  }

  deinit { states.deallocate() }

  private func rows(_ chunk: Range<Int>) -> UnsafeMutablePointer<Float>? {
    states.baseAddress.map { $0 + variant.batch.offsets[chunk.lowerBound] * width }
  }

  func embed() {
    if let given = variant.states {
      precondition(given.values.count <= states.count, "states of other sequences")
      _ = states.update(fromContentsOf: given.values)
      return
    }
    for chunk in chunks {
      guard let x = rows(chunk) else { continue }
      trunk.embed(variant.batch, chunk, cache: nil, into: x)
    }
  }

  func pass(_ block: BlockDescription) throws {
    let prepared = try PreparedBlock(block, from: variant.weights)
    let isLast = block.index == trunk.model.blocks.count - 1
    for chunk in chunks {
      guard let x = rows(chunk) else { continue }
      let start = variant.batch.offsets[chunk.lowerBound]
      let range = start..<variant.batch.offsets[chunk.upperBound]
      let wanted = isLast ? variant.rows?.filter(range.contains).map { $0 - start } : nil
      try trunk.run(prepared, variant.batch, chunk, x, finishing: wanted)
    }
  }

  func finish() throws -> Matrix<Float> {
    let model = variant.weights.description
    let norm = try model.finalNorm.map {
      try Norm($0, model.normalization, from: variant.weights)
    }
    let count = variant.batch.rows
    return Matrix(rows: count, columns: trunk.outputWidth) { target in
      guard let x = states.baseAddress, let y = target.baseAddress else { return }
      if let projection = trunk.outputProjection {
        norm?.apply(x, rows: count, into: x)
        projection.apply(x, rows: count, into: y, pool: trunk.pool)
      } else if let rows = variant.rows {
        // What the other rows hold is never read.
        y.initialize(repeating: 0, count: count * width)
        for row in rows {
          (y + row * width).update(from: x + row * width, count: width)
          norm?.apply(y + row * width, rows: 1, into: y + row * width)
        }
      } else {
        norm?.apply(x, rows: count, into: x)
        y.initialize(from: x, count: count * width)
      }
    }
  }
}
