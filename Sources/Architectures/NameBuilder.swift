import Weights

/// Names and shapes of one architecture's tensors, spelled as the checkpoint does.
struct NameBuilder {
  /// The trunk's prefix, with its dot.
  let prefix: String
  let naming: TensorNaming

  /// A name in the trunk.
  func trunk(_ name: String) -> String { (naming.prefixed ? prefix : "") + name }

  /// A norm; `full` names are outside the trunk.
  func norm(
    _ name: String, width: Int, bias: Bool, from: String, full: Bool = false
  ) -> NormDescription {
    let base = full ? name : trunk(name)
    return NormDescription(
      weight: base + (naming.gammaBeta ? ".gamma" : ".weight"),
      bias: bias ? base + (naming.gammaBeta ? ".beta" : ".bias") : nil, width: width, from: from)
  }

  /// A linear layer.
  func linear(
    _ name: String, _ outputs: (count: Int, from: String), _ inputs: (count: Int, from: String),
    bias: Bool, layout: WeightView.Layout = .outputsFirst, full: Bool = false
  ) -> LinearDescription {
    let base = full ? name : trunk(name)
    let output = "\(outputs.from) = \(outputs.count)"
    let input = "\(inputs.from) = \(inputs.count)"
    return LinearDescription(
      module: base, weight: base + ".weight", bias: bias ? base + ".bias" : nil,
      outputs: outputs.count, inputs: inputs.count, layout: layout,
      from: layout == .outputsFirst ? "\(output), \(input)" : "\(input), \(output)")
  }
}

/// Checks that head counts fit together.
enum HeadCounts {
  static func dimension(
    hidden: Int, hiddenKey: String, heads: Int, headsKey: String
  ) throws(ArchitectureError) -> Int {
    guard hidden % heads == 0 else {
      throw .contradiction(
        left: "'\(hiddenKey)' is \(hidden)", right: "'\(headsKey)' is \(heads)",
        why: "the heads must divide the width")
    }
    return hidden / heads
  }
}
