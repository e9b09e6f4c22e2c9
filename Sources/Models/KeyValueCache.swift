import Architectures

/// The keys and values of tokens that were seen, so that new tokens need only their own.
///
/// Not safe to use from two calls at once.
public final class KeyValueCache: @unchecked Sendable {
  /// How many sequences the cache holds.
  public let sequences: Int
  /// How many tokens of a sequence it can hold.
  public let capacity: Int
  /// How many tokens of each sequence it holds.
  public private(set) var lengths: [Int]

  private let width: Int
  private let blocks: Int
  private let memory: UnsafeMutableBufferPointer<Float>

  /// An empty cache; takes `byteCount` bytes at once.
  public init(for description: ModelDescription, sequences: Int, capacity: Int) {
    self.sequences = sequences
    self.capacity = min(capacity, description.maximumPositions)
    lengths = Array(repeating: 0, count: sequences)
    width = description.attention.keyValueWidth
    blocks = description.blocks.count
    memory = .allocate(capacity: max(1, blocks * sequences * 2 * self.capacity * width))
    memory.initialize(repeating: 0)
  }

  deinit { memory.deallocate() }

  /// The bytes that the cache takes.
  public var byteCount: Int { memory.count * 4 }

  /// Forgets all tokens.
  public func clear() { lengths = Array(repeating: 0, count: sequences) }

  /// Checks that a batch has room.
  func checkRoom(_ batch: TokenBatch) throws(ModelError) {
    precondition(batch.sequences == sequences, "a cache of \(sequences) sequences")
    for sequence in 0..<sequences
    where lengths[sequence] + batch.rows(of: sequence).count > capacity {
      throw .cacheFull(capacity: capacity)
    }
  }

  /// Counts a batch's tokens, when all blocks have stored them.
  func advance(by batch: TokenBatch) {
    for sequence in 0..<sequences { lengths[sequence] += batch.rows(of: sequence).count }
  }

  /// The keys of a sequence in a block, `capacity × width`.
  func keys(block: Int, sequence: Int) -> UnsafeMutablePointer<Float>? {
    memory.baseAddress.map { $0 + (block * sequences + sequence) * 2 * capacity * width }
  }

  /// The values of a sequence in a block, `capacity × width`.
  func values(block: Int, sequence: Int) -> UnsafeMutablePointer<Float>? {
    keys(block: block, sequence: sequence).map { $0 + capacity * width }
  }
}
