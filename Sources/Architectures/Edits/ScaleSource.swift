import Foundation

/// What comes before a site and can take over the inverse of a scale of its inputs.
public enum ScaleSource: Sendable, Hashable {
  /// The site reads a norm's result: its weight, and its bias, are divided.
  case norm(NormDescription)
  /// The site's channel j comes from output `rows[j]` of a linear layer, through nothing that a
  /// positive factor does not pass: these outputs are divided.
  ///
  /// Channels with the same row (heads that share values) must share their scale.
  case linear(LinearDescription, rows: [Int])
  /// Nothing can take it, for a reason.
  case none(String)

  /// Makes channels that come from one row agree: the geometric mean of their scales.
  public func tied(_ scale: [Float]) -> [Float] {
    guard case .linear(_, let rows) = self, Set(rows).count < rows.count else { return scale }
    var sharing: [Int: Int] = [:]
    for row in rows { sharing[row, default: 0] += 1 }
    var product: [Int: Double] = [:]
    for (channel, row) in rows.enumerated() {
      product[row, default: 1] *= pow(Double(scale[channel]), 1 / Double(sharing[row] ?? 1))
    }
    return rows.map { Float(product[$0] ?? 1) }
  }
}

extension BlockDescription {
  /// What precedes each of the block's sites, in their order.
  ///
  /// A norm's result goes to one site only where norms come before attention and feed-forward; after
  /// them it is the residual stream too.
  public func scaleSources(in model: ModelDescription) -> [ScaleSource] {
    func norm(_ norm: NormDescription) -> ScaleSource {
      model.normalization.placement == .before
        ? .norm(norm) : .none("the norm's result is the residual stream too")
    }
    let attention = model.attention
    let group = attention.heads / attention.keyValueHeads
    let values = (0..<attention.queryWidth).map { channel in
      channel / attention.headDimension / group * attention.headDimension
        + channel % attention.headDimension
    }
    let attended: ScaleSource
    switch projections {
    case .separate(_, _, let value): attended = .linear(value, rows: values)
    case .fused(let linear):
      let first = attention.queryWidth + attention.keyValueWidth
      attended = .linear(linear, rows: values.map { first + $0 })
    }
    let inner: ScaleSource
    switch feedForward {
    case .gated(_, let up, _, _): inner = .linear(up, rows: Array(0..<up.outputs))
    case .plain(let first, _, .relu): inner = .linear(first, rows: Array(0..<first.outputs))
    case .plain(_, _, let activation):
      inner = .none("\(activation.rawValue) lies between, which no factor passes")
    }
    return [norm(attentionNorm), attended, norm(feedForwardNorm), inner]
  }
}
