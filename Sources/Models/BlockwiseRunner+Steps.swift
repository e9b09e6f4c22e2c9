import Architectures
import Tensors

extension BlockwiseRunner {
  /// Takes the states to the block's next site and hands its rows out.
  ///
  /// Sites come in order, and each once; only the readers of earlier sites have to be loaded.
  /// `finish(block)` follows the last.
  ///
  /// - Parameter body: gets some rows of the site's input, `rows × width`, in order; nil where
  ///   nobody needs them.
  public func step(
    _ block: PreparedBlock,
    _ body: ((_ rows: Range<Int>, _ x: UnsafeMutablePointer<Float>) throws -> Void)? = nil
  ) throws {
    precondition(block.description.index == position, "block \(position) is next")
    if site == 1, attention == nil {
      attention = try HiddenStateStore(
        rows: batch.rows, width: description.attention.queryWidth,
        memoryLimit: memoryLimit - store.residentBytes, folder: folder)
    }
    for chunk in chunks {
      try willPass()
      try step(block, chunk, body)
    }
    account(blockBytes: block.byteCount)
    site += 1
  }

  private func step(
    _ block: PreparedBlock, _ chunk: Range<Int>,
    _ body: ((Range<Int>, UnsafeMutablePointer<Float>) throws -> Void)?
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
          try body(rows, y)
        }
      }
    case 1:
      try store.with(rows: rows, writing: false, scratch: scratch) { x in
        try attention?.with(rows: rows, reading: false, writing: true, scratch: scratch) { y in
          try pass.attention(x, into: y)
          try body?(rows, y)
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
          try body(rows, y)
        }
      }
    case 3:
      guard let body else { return }
      try store.with(rows: rows, writing: false, scratch: scratch) { x in
        try scratch.with(rows.count * width) { y in
          pass.feedForwardHidden(x, into: y)
          try body(rows, y)
        }
      }
    default: preconditionFailure("block \(position) has no site \(site)")
    }
  }

  /// Moves the states on over the end of a block that went in steps.
  public func finish(_ block: PreparedBlock) throws {
    precondition(site == block.description.sites.count, "site \(site) is still to pass")
    for chunk in chunks {
      try willPass()
      try store.with(rows: rows(chunk), writing: true, scratch: trunk.scratch) {
        trunk.pass(block, batch, chunk).addFeedForward(to: $0)
      }
    }
    account(blockBytes: block.byteCount)
    site = 0
    position += 1
  }
}
