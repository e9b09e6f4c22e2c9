import Tensors
import Weights

/// What a tensor is for.
public enum TensorRole: Sendable, Hashable {
  /// The table of token embeddings.
  case embedding
  /// The map to logits, where it is not the embedding table.
  case head
  /// A linear layer's weight; `block` is nil outside the blocks.
  case linear(block: Int?, site: String)
  case norm
  case bias
  /// A table of learned positions or of segments.
  case position
  /// Nothing that the description knows.
  case other
}

/// A tensor that the configuration calls for.
public struct ExpectedTensor: Sendable, Hashable {
  public let name: String
  public let shape: [Int]
  public let role: TensorRole
  /// How a linear layer's weight is seen as out × in.
  public let layout: WeightView.Layout
  /// The configuration values that the shape follows from.
  public let from: String
}

extension ModelDescription {
  /// All tensors, in order of execution; a tied head is the embedding and not listed again.
  public var tensors: [ExpectedTensor] {
    var list = TensorList()
    list.add(
      embedding.tokens, [vocabularySize, embedding.width], .embedding,
      "vocab_size = \(vocabularySize), width = \(embedding.width)")
    if case .learned(let table, let rows, _) = positions {
      list.add(
        table, [rows, hiddenSize], .position, "positions = \(rows), width = \(hiddenSize)")
    }
    if let types = embedding.tokenTypes {
      list.add(
        types, [embedding.tokenTypeRows, hiddenSize], .position,
        "type_vocab_size = \(embedding.tokenTypeRows), hidden_size = \(hiddenSize)")
    }
    list.add(embedding.norm)
    list.add(embedding.projection, block: nil)
    for block in blocks {
      let sites = block.sites
      for linear in block.linears {
        let site = sites.first { $0.readers.contains(linear.module) }
        list.add(linear, block: block.index, site: site?.name)
      }
      for norm in [block.attentionNorm, block.queryNorm, block.keyNorm, block.feedForwardNorm] {
        list.add(norm)
      }
    }
    list.add(finalNorm)
    list.add(outputProjection, block: nil)
    if let head {
      if let transform = head.transform {
        list.add(transform.dense, block: nil)
        list.add(transform.norm)
      }
      if !head.tied {
        list.add(
          head.weight, [vocabularySize, head.width], .head,
          "vocab_size = \(vocabularySize), width = \(head.width)")
      }
      if let bias = head.bias {
        list.add(bias, [vocabularySize], .bias, "vocab_size = \(vocabularySize)")
      }
    }
    return list.tensors
  }

  /// The role of every tensor by its name.
  public var roles: [String: TensorRole] {
    Dictionary(tensors.map { ($0.name, $0.role) }) { first, _ in first }
  }

  /// The sites of all blocks, in order of execution.
  public var sites: [SiteDescription] { blocks.flatMap(\.sites) }
}

/// Collects expected tensors.
private struct TensorList {
  var tensors: [ExpectedTensor] = []

  mutating func add(
    _ name: String, _ shape: [Int], _ role: TensorRole, _ from: String,
    layout: WeightView.Layout = .outputsFirst
  ) {
    tensors.append(
      ExpectedTensor(name: name, shape: shape, role: role, layout: layout, from: from))
  }

  mutating func add(_ norm: NormDescription?) {
    guard let norm else { return }
    add(norm.weight, [norm.width], .norm, norm.from)
    if let bias = norm.bias { add(bias, [norm.width], .bias, norm.from) }
  }

  mutating func add(_ linear: LinearDescription?, block: Int?, site: String? = nil) {
    guard let linear else { return }
    add(
      linear.weight, linear.shape, .linear(block: block, site: site ?? linear.module), linear.from,
      layout: linear.layout)
    if let bias = linear.bias { add(bias, [linear.outputs], .bias, linear.from) }
  }
}
