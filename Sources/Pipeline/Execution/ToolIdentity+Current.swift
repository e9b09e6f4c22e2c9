import LinearAlgebra
import Tensors

extension ToolIdentity {
  /// This program on this machine: BLAS and kernels make the numeric path.
  public static func current(version: String) -> ToolIdentity {
    ToolIdentity(
      version: version,
      fingerprint: "\(NumericFingerprint.current.text); kernels \(KernelTarget.name)"
        + (HalfProducts.isAvailable ? " with bf16 products" : "")
        + (FixedProducts.isAvailable ? " with fixed-point products" : ""))
  }
}
