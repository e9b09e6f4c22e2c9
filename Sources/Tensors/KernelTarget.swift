import Kernels

/// The instruction set that the kernels were chosen for when the program started.
public enum KernelTarget {
  /// Its name, such as "AVX3" or "NEON": a part of the numeric fingerprint.
  public static let name = String(cString: pith_kernel_target())
}
