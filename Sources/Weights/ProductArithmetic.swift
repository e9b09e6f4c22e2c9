import Kernels

/// What products with weights of integer codes are summed in.
public enum ProductArithmetic: String, Sendable, Hashable, CaseIterable {
  /// Inputs as they are.
  case f32
  /// Inputs as 16-bit integers, each run of 64 columns (32 where groups are shorter) of a row under
  /// a scale of its own (block fixed point): exact sums within a run, at twice the rate where the
  /// processor adds 16-bit products. An input is off by at most 2⁻¹⁶ of its run's largest. Weights
  /// of other forms have f32.
  case int16

  /// The quickest of this machine.
  public static var quickest: ProductArithmetic { pith_narrow_suits() != 0 ? .int16 : .f32 }
}
