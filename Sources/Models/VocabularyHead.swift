import Architectures
import Kernels
import LinearAlgebra
import Tensors

/// From final hidden states to logits, whole or a tile of the vocabulary at a time.
struct VocabularyHead: Sendable {
  let vocabulary: Int
  let width: Int
  let bias: [Float]?
  private let table: FloatTable
  private let transform: (dense: LinearMap, activation: Int32, norm: Norm)?

  /// Tokens per tile of logits, and of the table when it must be decoded.
  static let tileTokens = 512
  /// Tokens that one worker takes in a row.
  static let stripeTokens = 8 * tileTokens
  /// Rows that one worker takes: enough that packing a tile of the table pays.
  static let tileRows = 512
  /// Rows that are scored at once where stripes are enough to share out: the table is packed
  /// once for all of them.
  static let scoredRows = 2048
  /// Rows whose logits are reduced while they are in the second-level cache; whole steps of the
  /// product.
  static let reducedRows = 56

  init(_ head: HeadDescription, trunk: ModelTrunk) throws {
    let provider = trunk.provider
    vocabulary = provider.description.vocabularySize
    width = head.width
    table =
      head.tied
      ? trunk.embedder.table
      : try provider.table(head.weight, rows: vocabulary, columns: head.width)
    bias = try head.bias.map {
      try provider.vector($0, count: provider.description.vocabularySize)
    }
    transform = try head.transform.map {
      (
        try LinearMap($0.dense, from: provider), $0.activation.kernel,
        try Norm($0.norm, provider.description.normalization, from: provider)
      )
    }
  }

  /// What the table multiplies: the hidden states, or the masked-LM head's map of them.
  func prepared(_ hidden: Matrix<Float>, pool: WorkerPool) -> Matrix<Float> {
    guard let transform, hidden.rows > 0 else { return hidden }
    return Matrix(rows: hidden.rows, columns: width) { target in
      guard let y = target.baseAddress else { return }
      hidden.values.withUnsafeBufferPointer { source in
        guard let x = source.baseAddress else { return }
        transform.dense.apply(x, rows: hidden.rows, into: y, pool: pool)
      }
      pith_activate(transform.activation, y, hidden.rows * width)
      transform.norm.apply(y, rows: hidden.rows, into: y)
    }
  }

  /// The logits of some rows for some tokens, `rows × tokens.count` at a stride.
  func logits(
    _ x: UnsafePointer<Float>, rows: Int, tokens: Range<Int>,
    into y: UnsafeMutablePointer<Float>, stride: Int, scratch: ScratchMemory
  ) {
    if let weights = table.floats {
      multiply(x, rows, weights + tokens.lowerBound * width, tokens, y, stride)
      table.letGo(rows: tokens)
      return
    }
    scratch.with(Self.tileTokens * width) { decoded in
      for first in Swift.stride(from: tokens.lowerBound, to: tokens.upperBound, by: Self.tileTokens)
      {
        let part = first..<min(first + Self.tileTokens, tokens.upperBound)
        table.read(rows: part, into: decoded)
        multiply(x, rows, decoded, part, y + first - tokens.lowerBound, stride)
      }
    }
  }

  /// Rows of the table, `tokens.count × width`.
  func read(_ tokens: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    table.read(rows: tokens, into: target)
  }

  /// Whether tiles of the table may be packed once for all rows: one piece holds all columns.
  var isPackable: Bool { RowProduct.isExact && width <= RowProduct.packedColumns }

  /// Packs the table's rows of some tokens, at most `RowProduct.packedOutputs`.
  func pack(_ tokens: Range<Int>, into panels: UnsafeMutablePointer<Float>, scratch: ScratchMemory)
  {
    if let weights = table.floats {
      RowProduct.pack(
        weights + tokens.lowerBound * width, outputs: tokens.count, wStride: width,
        columns: width, into: panels)
      table.letGo(rows: tokens)
      return
    }
    scratch.with(tokens.count * width) { decoded in
      table.read(rows: tokens, into: decoded)
      RowProduct.pack(
        decoded, outputs: tokens.count, wStride: width, columns: width, into: panels)
    }
  }

  /// Lets the whole table leave memory, when it is transient.
  func letGo() { table.letGo(rows: 0..<vocabulary) }

  /// Adds the bias of some tokens to their logits.
  func addBias(_ tokens: Range<Int>, to y: UnsafeMutablePointer<Float>, rows: Int, stride: Int) {
    guard let bias else { return }
    bias.withUnsafeBufferPointer { bias in
      guard let part = bias.baseAddress.map({ $0 + tokens.lowerBound }) else { return }
      for row in 0..<rows { pith_add(y + row * stride, part, tokens.count) }
    }
  }

  private func multiply(
    _ x: UnsafePointer<Float>, _ rows: Int, _ weights: UnsafePointer<Float>, _ tokens: Range<Int>,
    _ y: UnsafeMutablePointer<Float>, _ stride: Int
  ) {
    if rows <= LinearMap.fewRows {
      for row in 0..<rows {
        BLAS.gemv(
          m: tokens.count, n: width, alpha: 1, a: weights, lda: width, transposeA: false,
          x: x + row * width, beta: 0, y: y + row * stride)
      }
    } else {
      RowProduct.multiply(
        x, rows: rows, xStride: width, by: weights, outputs: tokens.count, wStride: width,
        columns: width, into: y, yStride: stride)
    }
    addBias(tokens, to: y, rows: rows, stride: stride)
  }
}
