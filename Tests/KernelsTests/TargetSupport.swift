import Kernels
import Tensors

/// Runs a body once for every instruction set that this machine has.
func forEachTarget(_ body: (String) throws -> Void) rethrows {
  defer { _ = pith_kernel_target_for_this_thread(-1) }
  for index in 0..<pith_kernel_target_count()
  where pith_kernel_target_for_this_thread(index) == 0 {
    try body(String(cString: pith_kernel_target()))
  }
}

/// Reproducible numbers for the tests.
enum Sample {
  static func normals(_ count: Int, seed: UInt64 = 1, scale: Float = 1) -> [Float] {
    Philox(seed: seed).normals(count: count, purpose: .sampling).map { $0 * scale }
  }

  /// Numbers that are hard for one reason or another, all finite.
  static let awkward: [Float] = [
    0, -0.0, Float(bitPattern: 71362), -Float(bitPattern: 71362), .leastNormalMagnitude, 65504,
    65519.9, 65520, -65504, 1e4, 0.5, 1.5,
    2.5, -0.5, -1.5, -2.5, 3e38, -3e38, 1e30, 5.9604645e-8, 2.9802322e-8, 6.1e-5,
  ]
}
