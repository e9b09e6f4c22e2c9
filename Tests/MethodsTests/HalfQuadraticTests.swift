import Foundation
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("HQQ")
struct HalfQuadraticTests {
  /// Normal numbers over the root of a χ²: tails as heavy as those of layers.
  private let heavy: Matrix<Float> = {
    var result = Sample.normals(64, 256, seed: 21)
    let others = Sample.normals(64, 256 * 4, seed: 22)
    for index in result.values.indices {
      let squares = others.values[index * 4..<index * 4 + 4].reduce(0) { $0 + $1 * $1 }
      result.values[index] *= 0.02 / max(squares / 4, 0.01).squareRoot()
    }
    return result
  }()

  private func norm(_ weight: CompressedWeight, _ original: Matrix<Float>) -> Double {
    zip(weight.decodedBase().values, original.values).reduce(0) {
      $0 + pow(Double(abs($1.0 - $1.1)), 0.7)
    }
  }

  @Test("the sum of |e|^0.7 falls, in every group, with a clip search before or not")
  func gains() throws {
    for bits in [2, 3, 4] {
      for clip in [ClipSearch.none, .meanSquare()] {
        let scheme = try GPTQSample.scheme(bits, group: 64, clip: clip)
        let nearest = try RoundToNearest.quantize(.dense(heavy), scheme: scheme)
        let found = try HalfQuadratic.quantize(.dense(heavy), scheme: scheme)
        try found.validate()
        #expect(norm(found, heavy) < 0.995 * norm(nearest, heavy))
        let (left, right) = (found.decodedBase(), nearest.decodedBase())
        for start in stride(from: 0, to: heavy.values.count, by: 64) {
          func error(_ matrix: Matrix<Float>) -> Double {
            (start..<start + 64).reduce(0) {
              $0 + pow(Double(abs(matrix.values[$1] - heavy.values[$1])), 0.7)
            }
          }
          #expect(error(left) <= error(right) * (1 + 1e-5))
        }
        let two = try HalfQuadratic.quantize(
          .dense(heavy), scheme: scheme, pool: WorkerPool(workers: 2))
        #expect(two.codes == found.codes && two.scaleBytes == found.scaleBytes)
      }
    }
  }

  @Test("zeros, masks, one row: finite and exact; options that cannot be: errors")
  func edges() throws {
    let scheme = try GPTQSample.scheme(3)
    let zero = Matrix<Float>(rows: 2, columns: 64, repeating: 0)
    let found = try HalfQuadratic.quantize(.dense(zero), scheme: scheme)
    try found.validate()
    #expect(found.decodedBase() == zero)
    var masked = CompressedWeight.dense(heavy)
    masked.mask = Mask(rows: 64, columns: 256) { ($0 + $1) % 3 != 0 }
    let pruned = try HalfQuadratic.quantize(masked, scheme: scheme)
    try pruned.validate()
    let decoded = pruned.decodedBase()
    #expect((0..<64).allSatisfy { decoded[$0, (3 - $0 % 3) % 3] == 0 })
    var bad = heavy
    bad[0, 3] = .nan
    #expect(throws: QuantizationError.weights(.notFinite(row: 0, column: 3))) {
      try HalfQuadratic.quantize(.dense(bad), scheme: scheme)
    }
    #expect(throws: QuantizationError.self) {
      try HalfQuadratic.quantize(
        .dense(heavy), scheme: scheme, options: HalfQuadratic.Options(power: 1.5))
    }
    #expect(throws: QuantizationError.self) {
      try HalfQuadratic.quantize(
        .dense(heavy), scheme: IntegerScheme(bits: 4, granularity: .tensor))
    }
  }
}
