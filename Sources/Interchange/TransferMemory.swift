import Tensors
import Weights

/// The memory of an export or an import, held under a cap.
///
/// The program, its buffers and the file's listing take `baseBytes`; a tensor asks for what making it
/// takes, and waits until that is free beside the others: with a small cap they are made one after
/// the other, to the same bytes.
public struct TransferMemory: Sendable {
  static let baseBytes = 64 << 20

  /// Whether memory that was used once is given back rather than kept for the next tensor.
  let isCapped: Bool
  private let ledger: MemoryLedger

  /// - Parameters:
  ///   - limit: the most bytes that the process may take; nil for no cap.
  ///   - held: what the plan itself keeps in memory until the end.
  ///   - needs: what making each tensor takes at its peak.
  /// - Throws: `InterchangeError.memoryTooSmall` where a tensor does not fit even alone.
  public init(
    limit: Int?, held: Int = 0, needs: [(name: String, bytes: Int)]
  ) throws(InterchangeError) {
    try Self.check(limit: limit, held: held, needs: needs)
    isCapped = limit != nil
    ledger = MemoryLedger(
      limit: limit.map { $0 - Self.baseBytes - held } ?? .max, isCap: isCapped)
  }

  /// Makes sure that tensors fit one at a time.
  ///
  /// - Throws: `InterchangeError.memoryTooSmall` where one does not.
  public static func check(
    limit: Int?, held: Int = 0, needs: [(name: String, bytes: Int)]
  ) throws(InterchangeError) {
    guard let limit, let largest = needs.max(by: { $0.bytes < $1.bytes }) else { return }
    let needed = baseBytes + held + largest.bytes
    guard needed <= limit else {
      throw .memoryTooSmall(tensor: largest.name, needed: needed, limit: limit)
    }
  }

  /// Runs what makes a tensor, when its bytes are free.
  public func with<Result>(_ bytes: Int, _ body: () throws -> Result) rethrows -> Result {
    try ledger.withReservation(bytes, body)
  }
}

extension Bytes {
  /// What of them lies in memory of the process, and not in a file.
  var heldBytes: Int { isInFile ? 0 : count }
}

extension IntegerBase {
  /// What of it lies in memory.
  var heldBytes: Int {
    codes.bytes.heldBytes + scales.bytes.heldBytes + (zeros?.bytes.heldBytes ?? 0)
  }
}
