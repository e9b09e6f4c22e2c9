import Checkpoints

extension ModelDescription {
  /// The description that fits a checkpoint: its spelling of names settled, every tensor checked.
  ///
  /// - Returns: the description, and the tensors that it does not read (buffers, poolers, a copy of
  ///   a tied head), in the checkpoint's order.
  /// - Throws: `ArchitectureError.missingTensors` (all of them, with their shapes and where those
  ///   follow from), `.wrongShape`, `.notFloatingPoint`, and what reading the configuration throws.
  public static func resolve(
    configuration: String, tensors: [TensorDescription]
  ) throws(ArchitectureError) -> (description: ModelDescription, unused: [String]) {
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    let plain = try ModelDescription(configuration: configuration)
    let naming = plain.naming(in: byName)
    var description = try ModelDescription(configuration: configuration, naming: naming)
    if !description.needsHead(in: byName) {
      description = try ModelDescription(
        configuration: configuration, naming: naming, withHead: false)
    }
    try description.check(byName)
    let used = Set(description.tensors.map(\.name))
    return (description, tensors.map(\.name).filter { !used.contains($0) })
  }

  /// How the checkpoint spells names, by its embedding table and its norms.
  private func naming(in tensors: [String: TensorDescription]) -> TensorNaming {
    var naming = TensorNaming()
    if tensors[embedding.tokens] == nil {
      // The table's name without the trunk's prefix: all but the first component.
      let bare = embedding.tokens.drop { $0 != "." }.dropFirst()
      naming.prefixed = tensors[String(bare)] == nil
    }
    naming.gammaBeta =
      family == .bert && tensors.keys.contains { $0.hasSuffix("LayerNorm.gamma") }
    return naming
  }

  /// Whether a head is there or has to be: a language model without one is incomplete, a bare
  /// trunk ("BertModel", sentence encoders) is not.
  private func needsHead(in tensors: [String: TensorDescription]) -> Bool {
    guard let head else { return false }
    if let transform = head.transform, tensors[transform.dense.weight] != nil { return true }
    if head.transform == nil, head.tied || tensors[head.weight] != nil { return true }
    let named = architectures.first ?? ""
    return named.hasSuffix("ForCausalLM") || named.hasSuffix("LMHeadModel")
      || named.hasSuffix("ForMaskedLM") || (named.isEmpty && family != .bert)
  }

  private func check(_ found: [String: TensorDescription]) throws(ArchitectureError) {
    let expected = tensors
    let missing = expected.filter { found[$0.name] == nil }
    guard missing.isEmpty else {
      throw .missingTensors(
        missing.map { MissingTensor(name: $0.name, shape: $0.shape, from: $0.from) })
    }
    for tensor in expected {
      guard let candidate = found[tensor.name] else { continue }
      guard candidate.shape.dimensions == tensor.shape else {
        throw .wrongShape(
          tensor: tensor.name, found: candidate.shape.dimensions, expected: tensor.shape,
          from: tensor.from)
      }
      guard candidate.dtype.isFloatingPoint else {
        throw .notFloatingPoint(tensor: tensor.name, found: candidate.dtype.rawValue)
      }
    }
  }
}
