/// An activation function of a feed-forward part.
public enum Activation: String, Sendable, Hashable, CaseIterable {
  /// x · sigmoid(x).
  case silu
  /// x · Φ(x), by the error function.
  case gelu
  /// GELU by its tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
  case geluTanh
  case relu

  /// The activation that config.json names.
  init?(name: String) {
    switch name {
    case "silu", "swish": self = .silu
    case "gelu": self = .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": self = .geluTanh
    case "relu": self = .relu
    default: return nil
    }
  }

  static let names = "silu, swish, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu"
}
