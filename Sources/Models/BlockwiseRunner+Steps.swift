import Architectures
import Tensors

/// Some rows of a site, and of the residual stream as it is there.
public struct SiteRows {
  public let rows: Range<Int>
  /// The site's input, `rows × width`.
  public let input: UnsafePointer<Float>
  /// What the readers' output is added to where they end a half of a block, `rows × hiddenSize`.
  public let stream: UnsafePointer<Float>
}

extension BlockwiseRunner {
  /// Takes the states to the block's next site and hands its rows out.
  ///
  /// Sites come in order, and each once; only the readers of earlier sites have to be loaded.
  /// `finish(block)` follows the last.
  ///
  /// - Parameter body: gets some rows of the site in order; nil where nobody needs them.
  public func step(_ block: PreparedBlock, _ body: ((SiteRows) throws -> Void)? = nil) throws {
    try beginStep(block)
    for chunk in chunks {
      try willPass()
      try step(block, chunk, body)
    }
    endStep(block)
  }

  /// The same in two runners of the same batch at once: a model that is changing, and the dense one
  /// beside it, whose block is complete and goes on over its end with the last site.
  public func step(
    _ block: PreparedBlock, beside other: BlockwiseRunner, _ otherBlock: PreparedBlock,
    _ body: (_ own: SiteRows, _ other: SiteRows) throws -> Void
  ) throws {
    precondition(chunks == other.chunks && site == other.site, "runners out of step")
    try beginStep(block)
    try other.beginStep(otherBlock)
    try withoutActuallyEscaping(body) { body in
      for chunk in chunks {
        try willPass()
        try step(block, chunk) { own in
          try other.step(otherBlock, chunk, isComplete: true) { try body(own, $0) }
        }
      }
    }
    other.isFinished = site == block.description.sites.count - 1
    endStep(block)
    other.endStep(otherBlock)
  }

  private func beginStep(_ block: PreparedBlock) throws {
    precondition(block.description.index == position, "block \(position) is next")
    if site == 1, attention == nil {
      attention = try HiddenStateStore(
        rows: batch.rows, width: description.attention.queryWidth,
        memoryLimit: memoryLimit - store.residentBytes, folder: folder)
    }
  }

  private func endStep(_ block: PreparedBlock) {
    account(blockBytes: block.byteCount)
    site += 1
  }

  private func step(
    _ block: PreparedBlock, _ chunk: Range<Int>, isComplete: Bool = false,
    _ body: ((SiteRows) throws -> Void)?
  ) throws {
    let rows = rows(chunk)
    let pass = trunk.pass(block, batch, chunk)
    let scratch = trunk.scratch
    let width = block.description.sites[site].width
    switch site {
    case 0:
      guard let body else { return }
      try store.with(rows: rows, writing: false, scratch: scratch) { x in
        try scratch.with(rows.count * width) { y in
          pass.attentionInput(x, into: y)
          try body(SiteRows(rows: rows, input: y, stream: x))
        }
      }
    case 1:
      try store.with(rows: rows, writing: false, scratch: scratch) { x in
        try attention?.with(rows: rows, reading: false, writing: true, scratch: scratch) { y in
          pass.attention(x, into: y)
          try body?(SiteRows(rows: rows, input: y, stream: x))
        }
      }
    case 2:
      try store.with(rows: rows, writing: true, scratch: scratch) { x in
        try attention?.with(rows: rows, writing: false, scratch: scratch) { y in
          pass.addAttention(y, to: x)
        }
        guard let body else { return }
        try scratch.with(rows.count * width) { y in
          pass.feedForwardInput(x, into: y)
          try body(SiteRows(rows: rows, input: y, stream: x))
        }
      }
    case 3:
      guard let body else { return }
      try store.with(rows: rows, writing: isComplete, scratch: scratch) { x in
        try scratch.with(rows.count * width) { y in
          pass.feedForwardHidden(x, into: y)
          try body(SiteRows(rows: rows, input: y, stream: x))
          if isComplete { pass.addOutput(of: y, to: x) }
        }
      }
    default: preconditionFailure("block \(position) has no site \(site)")
    }
  }

  /// Moves the states on over the end of a block that went in steps.
  public func finish(_ block: PreparedBlock) throws {
    precondition(site == block.description.sites.count, "site \(site) is still to pass")
    if !isFinished {
      for chunk in chunks {
        try willPass()
        try store.with(rows: rows(chunk), writing: true, scratch: trunk.scratch) {
          trunk.pass(block, batch, chunk).addFeedForward(to: $0)
        }
      }
    }
    account(blockBytes: block.byteCount)
    isFinished = false
    site = 0
    position += 1
  }
}
