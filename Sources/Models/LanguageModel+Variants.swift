import Architectures
import Tensors

/// A model that differs from another in some weights, on its own sequences.
public struct ModelVariant: Sendable {
  /// Blocks' weights and the final norm; embeddings, positions and head stay the original's.
  public let weights: any WeightProvider
  public let batch: TokenBatch

  public init(weights: any WeightProvider, batch: TokenBatch) {
    self.weights = weights
    self.batch = batch
  }
}

extension LanguageModel {
  /// Final hidden states of several variants of this model, each `batch.rows × width`.
  ///
  /// All variants go through a block before any goes through the next, so that a block's stored
  /// weights are touched once for all of them; a variant's own weights live for one block only.
  /// Variants are shared out among the workers. A variant's bits do not depend on the others.
  ///
  /// - Throws: what hidden states throw, and what a variant's provider throws.
  public func hiddenStates(of variants: [ModelVariant]) throws -> [Matrix<Float>] {
    for variant in variants { try variant.batch.validate(for: description) }
    let lanes = variants.map { Lane($0, width: description.hiddenSize, trunk: trunk) }
    try pool.forEach(lanes.count) { (index: Int) throws -> Void in lanes[index].embed() }
    for block in description.blocks {
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

  init(_ variant: ModelVariant, width: Int, trunk: ModelTrunk) {
    self.variant = variant
    self.trunk = trunk
    self.width = width
    chunks = variant.batch.chunks(ofRows: trunk.blockwisePassRows)
    states = .allocate(capacity: max(variant.batch.rows * width, 1))
    states.initialize(repeating: 0)
  }

  deinit { states.deallocate() }

  private func rows(_ chunk: Range<Int>) -> UnsafeMutablePointer<Float>? {
    states.baseAddress.map { $0 + variant.batch.offsets[chunk.lowerBound] * width }
  }

  func embed() {
    for chunk in chunks {
      guard let x = rows(chunk) else { continue }
      trunk.embed(variant.batch, chunk, cache: nil, into: x)
    }
  }

  func pass(_ block: BlockDescription) throws {
    let prepared = try PreparedBlock(block, from: variant.weights)
    for chunk in chunks {
      guard let x = rows(chunk) else { continue }
      try trunk.run(prepared, variant.batch, chunk, x)
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
      norm?.apply(x, rows: count, into: x)
      if let projection = trunk.outputProjection {
        projection.apply(x, rows: count, into: y, pool: trunk.pool)
      } else {
        y.initialize(from: x, count: count * width)
      }
    }
  }
}
