import Synchronization

/// Objects that are handed on between tiles.
final class Spare<Object: Sendable>: Sendable {
  private let objects = Mutex<[Object]>([])

  func take() -> Object? { objects.withLock { $0.popLast() } }
  func give(_ object: Object) { objects.withLock { $0.append(object) } }
}
