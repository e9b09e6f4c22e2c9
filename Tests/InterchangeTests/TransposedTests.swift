import Tensors
import Testing
import Weights

@testable import Interchange

/// The quick ways to other tools' layouts against the plain ones.
@Suite struct TransposedTests {
  private func base(
    bits: Int, symmetric: Bool, rows: Int = 72, columns: Int = 160, group: Int = 32
  ) throws -> IntegerBase {
    let matrix = Matrix<Float>(
      rows: rows, columns: columns,
      values: (0..<rows * columns).map { Float(($0 * 7919) % 2003) / 1001 - 1 })
    return try IntegerBase.roundToNearest(
      matrix,
      scheme: IntegerScheme(bits: bits, symmetric: symmetric, granularity: .group(group)))
  }

  private func poured(_ body: (StagingBuffer) throws -> Void) throws -> [UInt8] {
    var found: [UInt8] = []
    try StagingBuffer().collect(at: 8, body) { bytes, _ in found += bytes }
    return found
  }

  private func bytes(_ words: [UInt32]) -> [UInt8] { Bytes(words).array(of: UInt8.self) }

  @Test(arguments: [2, 3, 4, 8], [true, false]) func gptq(_ bits: Int, _ symmetric: Bool) throws {
    // Rows of 72 codes of 3 bits do not end at a word: zero points are padded.
    let (rows, columns) = (72, 160)
    let base = try base(bits: bits, symmetric: symmetric)
    let numbers = base.unpacked()
    let tensors = GPTQLayout.tensors(base, "m", zeroOffset: 1)
    let words = PackedWords.wordsFirst(lines: rows, length: columns, bits: bits) {
      numbers.codes[$0 * columns + $1]
    }
    #expect(try poured(tensors[0].pour) == bytes(words))
    let groups = numbers.groups
    let zeros = (0..<groups).flatMap { group in
      PackedWords.stream(
        (0..<rows).map { (numbers.zeros[$0 * groups + group] &- 1) & UInt8((1 << bits) - 1) },
        bits: bits)
    }
    #expect(try poured(tensors[1].pour) == bytes(zeros))
    let scales = try GPTQLayout.transposed(scales: numbers.scales, rows: numbers.rows).array(
      of: UInt8.self)
    #expect(try poured(tensors[2].pour) == scales)
    for tensor in tensors {
      #expect(try poured(tensor.pour).count == tensor.description.byteCount, "\(tensor.name)")
    }
  }

  @Test(arguments: [(160, 32), (400, 16), (24, 8)], [true, false]) func awq(
    _ shape: (columns: Int, group: Int), _ symmetric: Bool
  ) throws {
    let base = try base(bits: 4, symmetric: symmetric, columns: shape.columns, group: shape.group)
    let numbers = base.unpacked()
    func plain(_ codes: [UInt8], _ length: Int) -> [UInt8] {
      bytes(
        (0..<length).flatMap { index in
          PackedWords.awq((0..<72).map { codes[$0 * length + index] }[...])
        })
    }
    let tensors = AWQLayout.tensors(base, "m")
    #expect(try poured(tensors[0].pour) == plain(numbers.codes, shape.columns))
    #expect(try poured(tensors[1].pour) == plain(numbers.zeros, numbers.groups))
    #expect(
      try poured(tensors[2].pour)
        == GPTQLayout.transposed(scales: numbers.scales, rows: numbers.rows).array(of: UInt8.self))
  }
}
