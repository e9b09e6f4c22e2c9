import Synchronization

/// A request to stop at the next safe moment, such as Ctrl-C.
///
/// Jobs look at it between pieces of work; what they finished is journalled, and `--resume` goes
/// on from there.
public final class Interruption: Sendable {
  private let requested = Atomic<Bool>(false)

  public init() {}

  /// Asks running work to stop; may be called from a signal handler.
  public func request() { requested.store(true, ordering: .relaxed) }

  public var isRequested: Bool { requested.load(ordering: .relaxed) }
}
