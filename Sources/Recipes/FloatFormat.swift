/// The types that scales, factors and outliers are stored in.
public enum FloatFormat: String, Sendable, Hashable, CaseIterable {
  case f16
  case bf16
  case f32
}
