import Kernels

/// Products through 16-bit fixed point (PithFixed.h), for terms that only decide which code a weight takes.
public enum FixedProducts {
  /// Whether they are quick here; where not, f32's own products are taken.
  public static var isAvailable: Bool { pith_fixed_products_available() != 0 }
}
