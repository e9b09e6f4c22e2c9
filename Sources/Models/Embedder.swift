import Architectures
import Kernels
import Tensors

/// From tokens to the first block's input.
struct Embedder: Sendable {
  let model: ModelDescription
  let table: FloatTable
  private let positions: FloatTable?
  private let positionOffset: Int
  private let tokenTypes: FloatTable?
  private let norm: Norm?
  private let projection: LinearMap?

  init(from provider: any WeightProvider) throws {
    let model = provider.description
    let embedding = model.embedding
    self.model = model
    table = try provider.table(
      embedding.tokens, rows: model.vocabularySize, columns: embedding.width)
    if case .learned(let name, let rows, let offset) = model.positions {
      positions = try provider.table(name, rows: rows, columns: model.hiddenSize)
      positionOffset = offset
    } else {
      positions = nil
      positionOffset = 0
    }
    tokenTypes = try embedding.tokenTypes.map {
      try provider.table($0, rows: embedding.tokenTypeRows, columns: model.hiddenSize)
    }
    norm = try embedding.norm.map { try Norm($0, model.normalization, from: provider) }
    projection = try embedding.projection.map { try LinearMap($0, from: provider) }
  }

  var byteCount: Int {
    table.byteCount + (positions?.byteCount ?? 0) + (tokenTypes?.byteCount ?? 0)
      + (projection?.byteCount ?? 0)
  }

  /// Writes the hidden states of some rows of a batch, `rows.count × hiddenSize`.
  ///
  /// - Parameter position: the position of each of the rows.
  func embed(
    _ batch: TokenBatch, rows: Range<Int>, position: [Int32],
    into x: UnsafeMutablePointer<Float>, scratch: ScratchMemory, pool: WorkerPool
  ) throws {
    let width = model.hiddenSize
    if let projection {
      try scratch.with(rows.count * table.columns) { narrow in
        gather(batch, rows, into: narrow)
        try projection.apply(narrow, rows: rows.count, into: x, pool: pool)
      }
    } else {
      gather(batch, rows, into: x)
    }
    scratch.with(width) { line in
      for (index, row) in rows.enumerated() {
        if let positions {
          let place = Int(position[index]) + positionOffset
          positions.read(rows: place..<place + 1, into: line)
          pith_add(x + index * width, line, width)
        }
        if let tokenTypes {
          let type = Int(batch.tokenTypes?[row] ?? 0)
          tokenTypes.read(rows: type..<type + 1, into: line)
          pith_add(x + index * width, line, width)
        }
      }
    }
    norm?.apply(x, rows: rows.count, into: x)
  }

  private func gather(
    _ batch: TokenBatch, _ rows: Range<Int>, into x: UnsafeMutablePointer<Float>
  ) {
    for (index, row) in rows.enumerated() {
      let token = Int(batch.tokens[row])
      table.read(rows: token..<token + 1, into: x + index * table.columns)
    }
  }
}
