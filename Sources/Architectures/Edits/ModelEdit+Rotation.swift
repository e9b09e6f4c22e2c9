import JSONText
import LinearAlgebra
import Tensors

/// Which bases of a model are turned, and how.
public struct RotationOptions: Sendable, Hashable {
  /// The residual stream, by one rotation of the whole model.
  public var residual: Bool
  /// Each head's values, by one rotation a block, between the value and the output map.
  public var heads: Bool
  public var seed: UInt64

  public init(residual: Bool = true, heads: Bool = true, seed: UInt64 = 0) {
    self.residual = residual
    self.heads = heads
    self.seed = seed
  }
}

extension ModelEdit {
  /// Turns the residual stream and the heads by randomized Hadamard rotations (QuaRot, Ashkboos and
  /// others 2024, stages 1a to 1c), all of it folded into the weights.
  ///
  /// Norms' weights go into the linear layers that read them; what writes to the stream is turned by
  /// Q, what reads it turned back. LayerNorm's mean commutes with a Q that keeps it, so that nothing
  /// needs to be centred first; its bias is turned along. A head that shares the embedding table is
  /// stored apart afterwards: one of the two has the final norm folded in.
  ///
  /// - Parameters:
  ///   - configuration: the text of config.json.
  ///   - norms: a norm's values by tensor name.
  /// - Throws: `ArchitectureError.unsupported` where it would not be exact: norms after the residual
  ///   sum, LayerNorms with a bias behind a weight that is (nearly) zero.
  public static func rotation(
    of model: ModelDescription, configuration: String, options: RotationOptions,
    norms: (String) throws -> [Float]
  ) throws -> ModelEdit {
    var edit = ModelEdit()
    if options.residual {
      try edit.rotateResidual(model, seed: options.seed, norms)
      if !edit.copies.isEmpty { edit.configuration = try untied(configuration) }
    }
    if options.heads {
      for block in model.blocks { edit.rotateHeads(of: block, model, seed: options.seed) }
    }
    return edit
  }

  /// The configuration with a head of its own.
  private static func untied(_ configuration: String) throws -> String {
    guard var object = try JSONParser.parse(configuration).object else {
      throw ArchitectureError.notJSON(reason: "the document is no object")
    }
    object["tie_word_embeddings"] = false
    return JSONValue.object(object).text(.pretty)
  }

  private mutating func rotateResidual(
    _ model: ModelDescription, seed: UInt64, _ norms: (String) throws -> [Float]
  ) throws {
    guard model.normalization.placement == .before, let final = model.finalNorm,
      model.embedding.norm == nil
    else {
      throw ArchitectureError.unsupported(
        key: "rotation of the residual stream", found: "a \(model.modelType) model",
        supported: "models whose norms come before attention and feed-forward")
    }
    let rotation = HadamardRotation(
      structure: .spanning(model.hiddenSize), seed: seed,
      fixesMean: model.normalization.kind == .layer)
    // What writes to the stream.
    if let projection = model.embedding.projection {
      rotateOutputs(of: projection, rotation)
    } else {
      rotateTable(model.embedding.tokens, rotation)
    }
    if case .learned(let table, _, _) = model.positions { rotateTable(table, rotation) }
    if let types = model.embedding.tokenTypes { rotateTable(types, rotation) }
    for block in model.blocks {
      let readers = block.feedForward.sites[0].readers
      try fold(
        block.attentionNorm, into: block.projections.linears, rotation, norms)
      rotateOutputs(of: block.attentionOutput, rotation)
      try fold(
        block.feedForwardNorm, into: block.linears.filter { readers.contains($0.module) },
        rotation, norms)
      if let last = block.feedForward.linears.last { rotateOutputs(of: last, rotation) }
    }
    if let projection = model.outputProjection {
      try fold(final, into: [projection], rotation, norms)
    } else if let head = model.head {
      try foldHead(head, final, model, rotation, norms)
    } else {
      // Nothing reads the final norm but the caller, who would see turned states.
      throw ArchitectureError.unsupported(
        key: "rotation of the residual stream", found: "a model without a head",
        supported: "language models")
    }
    note(
      EditNote(
        .rotated, "residual stream",
        "\(model.hiddenSize) channels in blocks of \(rotation.structure.order), seed \(seed)"))
  }

  /// x·γ → W becomes x → (W·γ)Q of turned inputs.
  private mutating func fold(
    _ norm: NormDescription, into readers: [LinearDescription], _ rotation: HadamardRotation,
    _ norms: (String) throws -> [Float]
  ) throws {
    let weight = try self.weight(of: norm, norms)
    for reader in readers {
      append(.scale(reader.inputAxis, weight), to: reader.weight)
      append(.rotate(reader.inputAxis, offset: 0, rotation), to: reader.weight)
    }
    if let first = readers.first {
      change(first.module, .divide(weight))
      change(first.module, .rotate(rotation))
    }
    try straighten(norm, weight, rotation, norms)
  }

  private mutating func foldHead(
    _ head: HeadDescription, _ norm: NormDescription, _ model: ModelDescription,
    _ rotation: HadamardRotation, _ norms: (String) throws -> [Float]
  ) throws {
    guard head.transform == nil else {
      throw ArchitectureError.unsupported(
        key: "rotation of the residual stream", found: "a masked-language head",
        supported: "heads of one matrix")
    }
    var name = head.weight
    if head.tied {
      name = "lm_head.weight"
      copy(head.weight, to: name)
      note(EditNote(.untied, name, "no longer the embedding table: the final norm is folded in"))
    }
    let weight = try self.weight(of: norm, norms)
    keepType(of: name)
    append(.scale(.inner, weight), to: name)
    append(.rotate(.inner, offset: 0, rotation), to: name)
    try straighten(norm, weight, rotation, norms)
  }

  private func weight(
    of norm: NormDescription, _ norms: (String) throws -> [Float]
  ) throws -> [Double] {
    try norms(norm.weight).map(Double.init)
  }

  /// The norm without a weight of its own; its bias as the readers, which hold the weight now, need
  /// it: (β/γ)·Q.
  private mutating func straighten(
    _ norm: NormDescription, _ weight: [Double], _ rotation: HadamardRotation,
    _ norms: (String) throws -> [Float]
  ) throws {
    append(.replace([Double](repeating: 1, count: norm.width)), to: norm.weight)
    guard let bias = norm.bias else { return }
    let shift = try norms(bias).map(Double.init)
    let largest = weight.reduce(0) { max($0, abs($1)) }
    var quotient = [Double](repeating: 0, count: norm.width)
    for channel in 0..<norm.width where shift[channel] != 0 {
      // Beyond this the quotient drowns the other channels' digits once it is turned.
      guard abs(weight[channel]) > 1e-3 * largest else {
        throw ArchitectureError.unsupported(
          key: norm.weight,
          found: "\(weight[channel]) at \(channel) before a bias of \(shift[channel])",
          supported: "weights above a thousandth of the largest, for a rotation")
      }
      quotient[channel] = shift[channel] / weight[channel]
    }
    append(.replace(quotient), to: bias)
    append(.rotate(.outer, offset: 0, rotation), to: bias)
  }

  private mutating func rotateTable(_ name: String, _ rotation: HadamardRotation) {
    keepType(of: name)
    append(.rotate(.inner, offset: 0, rotation), to: name)
  }

  private mutating func rotateOutputs(of linear: LinearDescription, _ rotation: HadamardRotation) {
    append(.rotate(linear.outputAxis, offset: 0, rotation), to: linear.weight)
    if let bias = linear.bias { append(.rotate(.outer, offset: 0, rotation), to: bias) }
  }

  /// Values leave their map turned and reach the output map's columns turned alike.
  private mutating func rotateHeads(
    of block: BlockDescription, _ model: ModelDescription, seed: UInt64
  ) {
    let shape = model.attention
    let structure = HadamardRotation.Structure.spanning(shape.headDimension)
    let head = HadamardRotation(
      structure: structure, seed: seed, stream: UInt32(1 + block.index))
    let values: (linear: LinearDescription, offset: Int)
    switch block.projections {
    case .separate(_, _, let value): values = (value, 0)
    case .fused(let linear): values = (linear, shape.queryWidth + shape.keyValueWidth)
    }
    let written = head.repeated(shape.keyValueHeads)
    append(
      .rotate(values.linear.outputAxis, offset: values.offset, written), to: values.linear.weight)
    if let bias = values.linear.bias {
      append(.rotate(.outer, offset: values.offset, written), to: bias)
    }
    let output = block.attentionOutput
    let read = head.repeated(shape.heads)
    append(.rotate(output.inputAxis, offset: 0, read), to: output.weight)
    change(output.module, .rotate(read))
    note(
      EditNote(
        .rotated, output.module, "each head's \(shape.headDimension) values, seed \(seed)"))
  }
}

extension HadamardRotation {
  /// The same rotation for several runs of the width, side by side.
  func repeated(_ count: Int) -> HadamardRotation {
    guard
      let wide = try? Structure(
        blocks: structure.blocks * count, factor: structure.factor, power: structure.power)
    else { preconditionFailure("a structure that exists once exists \(count) times") }
    return HadamardRotation(
      structure: wide, signs: (0..<count).flatMap { _ in signs })
  }
}
