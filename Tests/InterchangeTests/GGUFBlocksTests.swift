import Checkpoints
import Tensors
import Testing
import Weights

@testable import Interchange

@Suite struct GGUFBlocksTests {
  private func matrix(rows: Int, columns: Int) -> Matrix<Float> {
    Matrix(
      rows: rows, columns: columns,
      values: (0..<rows * columns).map { Float(($0 * 7919) % 2003) / 1001 - 1 })
  }

  /// By the format's own decoder, which the tests of Weights hold against ggml's.
  private func decode(_ bytes: Bytes, _ type: GGUFBlockType, rows: Int, columns: Int) -> [Float] {
    let format = BlockFormat.allCases.first { $0.rawValue == type.name.lowercased() }
    guard let format else { return [] }
    return Base.blocks(
      BlockBase(
        format: format, rows: rows, columns: columns,
        blocks: Tensor(
          dtype: .u8, shape: [rows, bytes.count / rows], array: bytes.array(of: UInt8.self)))
    ).decoded().values
  }

  @Test(arguments: [2, 3, 4, 5, 6, 7, 8], [32, 64]) func symmetricCodesGoInUnchanged(
    bits: Int, group: Int
  ) throws {
    let values = matrix(rows: 6, columns: 128)
    let base = try IntegerBase.roundToNearest(
      values, scheme: IntegerScheme(bits: bits, granularity: .group(group)))
    guard case .exact(let type) = GGUFBlocks.choice(for: base) else {
      Issue.record("no exact type for \(bits) bits")
      return
    }
    let blocks = try GGUFBlocks.encode(base, as: type, order: nil)
    #expect(decode(blocks, type, rows: 6, columns: 128) == base.decoded().values)
    let reversed = try GGUFBlocks.encode(base, as: type, order: (0..<6).reversed())
    let rows = (0..<6).reversed().flatMap { base.decoded(rows: $0..<$0 + 1).values }
    #expect(decode(reversed, type, rows: 6, columns: 128) == rows)
  }

  @Test func whatIsNotExactIsRefused() throws {
    let values = matrix(rows: 4, columns: 96)
    func refusal(_ scheme: IntegerScheme) throws -> String? {
      let base = try IntegerBase.roundToNearest(values, scheme: scheme)
      guard case .none(let reason, _) = GGUFBlocks.choice(for: base) else { return nil }
      return reason
    }
    #expect(try refusal(IntegerScheme(bits: 4, granularity: .group(16)))?.contains("16") == true)
    #expect(
      try refusal(IntegerScheme(bits: 4, granularity: .group(32), scaleType: .f32))?
        .contains("f16") == true)
    #expect(
      try refusal(IntegerScheme(bits: 8, symmetric: false, granularity: .group(32)))?
        .contains("zero point") == true)
    #expect(try refusal(IntegerScheme(bits: 4, granularity: .group(32))) == nil)
  }
}
