import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("Power-exponent grids")
struct PowerExponentTests {
  @Test("the fitted exponent is near the best for normal weights, and beats the uniform grid")
  func normal() throws {
    let weight = CompressedWeight.dense(Sample.normals(64, 512, seed: 4))
    for bits in [3, 4, 8] {
      let scheme = try TableScheme(
        TableGrid(
          format: .power(bits: bits, exponent: 1), granularity: .channel, scaleFormat: .f32),
        clip: .none)
      let fitted = try PowerExponent.fitted(scheme, to: weight)
      guard case .power(bits, let exponent) = fitted.grid.format else {
        Issue.record("\(fitted)")
        continue
      }
      #expect((0.6...0.85).contains(exponent), "\(bits): \(exponent)")
      func error(_ scheme: TableScheme) throws -> Double {
        try TableBase.rounded(weight.decodedBase(), scheme: scheme).errors.squaredError
      }
      let (found, uniform) = (try error(fitted), try error(scheme))
      #expect(found < 0.85 * uniform, "\(bits)")
      // No exponent beside it is much better.
      for other in [exponent - 0.1, exponent + 0.1] {
        let near = try error(scheme.with(format: .power(bits: bits, exponent: other)))
        #expect(found < near * 1.005, "\(bits): \(exponent) and \(other)")
      }
    }
  }
}
