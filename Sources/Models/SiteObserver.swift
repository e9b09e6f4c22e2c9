import Architectures
import Tensors

/// Sees the rows that linear layers read, site by site, in a fixed order.
///
/// Called in the pass's own thread between two steps of a block, so that it may use the pool.
public protocol SiteObserver: AnyObject, Sendable {
  /// Some rows of a site's input, `rows × site.width`, valid during the call.
  func observe(_ site: SiteDescription, _ x: UnsafePointer<Float>, rows: Int) throws

  /// A block's keys (after rotary positions) and values, `count` numbers each, valid during the call.
  func observe(
    block: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, count: Int)
}

extension SiteObserver {
  public func observe(
    block: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, count: Int
  ) {}
}
