import Architectures
import Models
import Tensors

extension OpenedModel {
  /// Bytes of the blocks' weights as the forward pass holds them: dense ones in f32, compressed
  /// ones as stored.
  var residentBlockBytes: Int {
    guard let artefact else {
      return description.blocks.flatMap(\.linears).reduce(0) { $0 + 4 * $1.outputs * $1.inputs }
    }
    return description.blocks.flatMap(\.linears).reduce(0) { total, linear in
      let content = try? artefact.content(of: linear.weight)
      if case .weight(let weight)? = content?.kind { return total + weight.storedBytes }
      return total + 4 * linear.outputs * linear.inputs
    }
  }

  /// The model ready to run; under a memory limit that its blocks would fill by more than half,
  /// one block at a time.
  public func load(memoryLimit: Int? = nil, pool: WorkerPool) throws -> LanguageModel {
    let fits = memoryLimit.map { residentBlockBytes <= $0 / 2 } ?? true
    return try LanguageModel(weights, residency: fits ? .all : .oneBlock, pool: pool)
  }
}
