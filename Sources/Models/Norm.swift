import Architectures
import Kernels
import Tensors

/// A norm's parameters, ready to run.
struct Norm: Sendable {
  let kind: Normalization.Kind
  let epsilon: Float
  let weight: [Float]
  let bias: [Float]?

  init(
    _ norm: NormDescription, _ normalization: Normalization, from provider: any WeightProvider
  ) throws {
    kind = normalization.kind
    epsilon = Float(normalization.epsilon)
    weight = try provider.vector(norm.weight, count: norm.width)
    bias = try norm.bias.map { try provider.vector($0, count: norm.width) }
  }

  var byteCount: Int { (weight.count + (bias?.count ?? 0)) * 4 }

  /// y ← norm(x), `rows × width`; x may be y.
  func apply(_ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>) {
    switch kind {
    case .rootMeanSquare: pith_rms_norm(x, weight, y, rows, weight.count, epsilon)
    case .layer: pith_layer_norm(x, weight, bias, y, rows, weight.count, epsilon)
    }
  }
}

extension Activation {
  /// The kernels' number for the function.
  var kernel: Int32 {
    switch self {
    case .silu: Int32(PITH_SILU)
    case .gelu: Int32(PITH_GELU)
    case .geluTanh: Int32(PITH_GELU_TANH)
    case .relu: Int32(PITH_RELU)
    }
  }

  /// The function of every entry.
  public func apply(to values: inout Matrix<Float>) {
    values.values.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      pith_activate(kernel, start, buffer.count)
    }
  }
}
