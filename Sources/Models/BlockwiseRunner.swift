import Architectures
import Foundation
import Tensors

/// Takes a whole data set through a model one block at a time.
///
/// The caller loads a block, lets its sites be observed, replaces its weights if it wants to, and
/// moves the states on; only that block's weights and the states are in memory, the states only
/// under a cap. Not safe to use from two calls at once.
public final class BlockwiseRunner {
  public let description: ModelDescription
  public let batch: TokenBatch
  /// The next block to pass.
  public internal(set) var position = 0
  /// The next site of the block at `position` that `step` goes to; all sites behind: their number.
  public internal(set) var site = 0
  /// The most bytes of states, scratch and block weights held at once so far.
  public private(set) var peakBytes = 0

  let trunk: ModelTrunk
  private let head: VocabularyHead?
  let store: HiddenStateStore
  let chunks: [Range<Int>]
  let memoryLimit: Int
  let folder: String
  /// Whether the step to the last site has gone on over the block's end.
  var isFinished = false
  /// Called before every pass of some sequences through (a step of) a block; may stop it.
  public var willPass: () throws -> Void = {}
  /// Attention's results, from the step that makes them to the one that reads them.
  var attention: HiddenStateStore?

  /// Embeds a data set.
  ///
  /// - Parameters:
  ///   - provider: where the embeddings, the final norm and the head come from.
  ///   - memoryLimit: bytes of hidden states to hold in memory; more go to a file in `folder`.
  ///   - passRows: rows that go through a block together; nil makes them fewer under a small
  ///     limit, which other tiles then round otherwise.
  /// - Throws: `ModelError` for tokens out of range, sequences too long, a full disk.
  public convenience init(
    _ provider: any WeightProvider, batch: TokenBatch, memoryLimit: Int = .max,
    passRows: Int? = nil, folder: String = NSTemporaryDirectory(), pool: WorkerPool = .serial
  ) throws {
    let trunk = try ModelTrunk(provider, pool: pool)
    let head = try provider.description.head.map { try VocabularyHead($0, trunk: trunk) }
    try self.init(
      trunk, head, batch: batch, memoryLimit: memoryLimit, passRows: passRows, folder: folder)
  }

  /// The same with the embeddings, the final norm, the head and the workers of a model.
  public convenience init(
    _ model: LanguageModel, batch: TokenBatch, memoryLimit: Int = .max, passRows: Int? = nil,
    folder: String = NSTemporaryDirectory()
  ) throws {
    try self.init(
      model.trunk, model.head, batch: batch, memoryLimit: memoryLimit, passRows: passRows,
      folder: folder)
  }

  private init(
    _ trunk: ModelTrunk, _ head: VocabularyHead?, batch: TokenBatch, memoryLimit: Int,
    passRows: Int?, folder: String
  ) throws {
    self.memoryLimit = memoryLimit
    self.folder = folder
    description = trunk.model
    self.batch = batch
    try batch.validate(for: description)
    self.trunk = trunk
    self.head = head
    store = try HiddenStateStore(
      rows: batch.rows, width: trunk.model.hiddenSize, memoryLimit: memoryLimit, folder: folder)
    // A window of states counts against the cap too.
    let windowRows = max(1, memoryLimit / (8 * trunk.model.hiddenSize))
    chunks = batch.chunks(ofRows: passRows ?? min(trunk.blockwisePassRows, windowRows))
    for chunk in chunks {
      try store.with(rows: rows(chunk), reading: false, writing: true, scratch: trunk.scratch) {
        trunk.embed(batch, chunk, cache: nil, into: $0)
      }
    }
    account(blockBytes: 0)
  }

  /// Whether the states are in a file.
  public var isSpilled: Bool { store.isSpilled }

  /// Reads the next block's weights from a provider.
  public func loadBlock(from provider: any WeightProvider) throws -> PreparedBlock {
    try PreparedBlock(description.blocks[position], from: provider)
  }

  /// Runs the next block on the states without moving them on.
  public func observe(_ block: PreparedBlock, _ observer: any SiteObserver) throws {
    try pass(block, observer: observer, writing: false)
  }

  /// Runs the next block and moves the states on.
  public func advance(
    through block: PreparedBlock, observer: (any SiteObserver)? = nil
  ) throws {
    try pass(block, observer: observer, writing: true)
    position += 1
  }

  private func pass(
    _ block: PreparedBlock, observer: (any SiteObserver)?, writing: Bool
  ) throws {
    precondition(block.description.index == position, "block \(position) is next")
    precondition(site == 0, "block \(position) is under way")
    for chunk in chunks {
      try willPass()
      try store.with(rows: rows(chunk), writing: writing, scratch: trunk.scratch) {
        try trunk.run(block, batch, chunk, $0, observer: observer)
      }
    }
    account(blockBytes: block.byteCount)
  }

  /// The states of some sequences as they stand before the next block, `rows × hiddenSize`.
  ///
  /// - Throws: `ModelError` when the states are in a file that cannot be read.
  public func states(of sequences: Range<Int>) throws -> Matrix<Float> {
    let rows = rows(sequences)
    let width = description.hiddenSize
    return try Matrix(rows: rows.count, columns: width) { target in
      try store.with(rows: rows, writing: false, scratch: trunk.scratch) { x in
        target.baseAddress?.initialize(from: x, count: rows.count * width)
      }
    }
  }

  /// Hands out the final hidden states, sequences in order, when all blocks are passed.
  ///
  /// - Parameter body: gets the sequences' numbers and their rows, `rows × width`.
  public func finish(_ body: (Range<Int>, Matrix<Float>) throws -> Void) throws {
    precondition(position == description.blocks.count, "block \(position) is still to pass")
    for chunk in chunks {
      let rows = rows(chunk)
      try store.with(rows: rows, writing: false, scratch: trunk.scratch) { x in
        let hidden = Matrix<Float>(rows: rows.count, columns: trunk.outputWidth) { target in
          guard let y = target.baseAddress else { return }
          trunk.finish(x, rows: rows.count, into: y)
        }
        try body(chunk, hidden)
      }
    }
  }

  /// Hands out what the head's table multiplies, sequences in order, when all blocks are passed.
  ///
  /// - Parameter body: gets the sequences' rows, `rows × the head's width`.
  /// - Throws: `ModelError.noHead`.
  public func headInputs(_ body: (Matrix<Float>) throws -> Void) throws {
    guard let head else { throw ModelError.noHead(modelType: description.modelType) }
    try finish { _, hidden in try body(head.prepared(hidden, pool: trunk.pool)) }
  }

  /// Scores targets of the final hidden states; see `LanguageModel.scores`.
  public func scores(targets: [Int32]) throws -> [RowScore?] {
    guard let head else { throw ModelError.noHead(modelType: description.modelType) }
    var result: [RowScore?] = []
    result.reserveCapacity(batch.rows)
    try finish { sequences, hidden in
      result += try head.scoresOfTargets(
        hidden, targets: Array(targets[rows(sequences)]), scratch: trunk.scratch,
        pool: trunk.pool)
    }
    return result
  }

  func rows(_ sequences: Range<Int>) -> Range<Int> {
    batch.offsets[sequences.lowerBound]..<batch.offsets[sequences.upperBound]
  }

  func account(blockBytes: Int) {
    let states = store.residentBytes + (attention?.residentBytes ?? 0)
    peakBytes = max(peakBytes, states + trunk.scratch.byteCount + blockBytes)
  }
}

extension BlockwiseRunner {
  /// Rows that go through a block together whatever the memory limit, as long as sequences are not
  /// longer.
  public static func passRows(_ model: ModelDescription) -> Int {
    ModelTrunk.blockwisePassRows(model)
  }

  /// Numbers of scratch that a pass takes per row.
  public static func scratchPerRow(_ model: ModelDescription) -> Int {
    BlockPass.scratchPerRow(model)
  }
}
