import Architectures
import Foundation
import Models
import Synchronization
import Tensors
import Weights

/// A provider under a memory cap: when a block is asked for, the pages of the one before it go.
///
/// Parts are mapped, and mapped pages count against a cap as they are touched. All sides of a step
/// are in one block at a time (`LanguageModel.hiddenStates(of:)`), so that a block's codes are read
/// once a step and let go.
public final class StreamedWeights: WeightProvider {
  public let description: ModelDescription
  private let held: HeldWeights
  private let blockOf: [String: Int]
  private let current = Mutex<Int?>(nil)

  /// - Throws: what reading the weights throws.
  public init(_ other: any WeightProvider) throws {
    description = other.description
    var blockOf: [String: Int] = [:]
    for block in other.description.blocks {
      for linear in block.linears { blockOf[linear.weight] = block.index }
    }
    self.blockOf = blockOf
    // Reading checks every scale, which touches pages: each block's go before the next comes.
    held = try HeldWeights(other) { weight in weight.letPagesGo() }
  }

  public func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    if let block = blockOf[linear.weight] {
      let before = current.withLock { current -> Int? in
        guard current != block else { return nil }
        defer { current = block }
        return current
      }
      for other in before.map({ description.blocks[$0].linears }) ?? [] {
        try held.weight(other).letPagesGo()
      }
    }
    return try held.weight(linear)
  }

  public func vector(_ name: String, count: Int) throws -> [Float] {
    try held.vector(name, count: count)
  }

  public func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try held.table(name, rows: rows, columns: columns)
  }
}

extension CompressedWeight {
  /// Lets the pages of all parts leave memory; they come back when they are touched.
  ///
  /// On Linux by MADV_PAGEOUT, which loses nothing whatever the memory is: a mapped file's pages
  /// are dropped, others would go to swap. Elsewhere nothing happens.
  func letPagesGo() {
    #if os(Linux)
    let page = UInt(getpagesize())
    for tensor in payloads {
      tensor.bytes.withBuffer { buffer in
        guard let base = buffer.baseAddress, buffer.count > Int(page) else { return }
        let start = UInt(bitPattern: base) / page * page
        let end = (UInt(bitPattern: base) + UInt(buffer.count)) / page * page
        guard end > start else { return }
        let pageOut: Int32 = 21
        _ = madvise(UnsafeMutableRawPointer(bitPattern: start), Int(end - start), pageOut)
      }
    }
    #endif
  }
}
