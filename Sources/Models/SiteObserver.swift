import Architectures
import Tensors

/// Sees the rows that linear layers read, site by site, in a fixed order.
///
/// While an observer watches, row tiles run one after another in the calling thread; the observer
/// may use the pool.
public protocol SiteObserver: AnyObject, Sendable {
  /// Some rows of a site's input, `rows × site.width`, valid during the call.
  func observe(_ site: SiteDescription, _ x: UnsafePointer<Float>, rows: Int) throws
}
