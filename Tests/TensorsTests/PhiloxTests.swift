import Tensors
import Testing

@Suite("Philox4x32-10")
struct PhiloxTests {
  @Test("Random123's known answers")
  func knownAnswers() {
    var philox = Philox(seed: 0)
    #expect(
      philox.block(SIMD4(0, 0, 0, 0)) == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
    philox.key = SIMD2(repeating: .max)
    #expect(
      philox.block(SIMD4(repeating: .max))
        == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
    philox.key = SIMD2(0xA409_3822, 0x299F_31D0)
    #expect(
      philox.block(SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344))
        == SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
  }

  @Test("The counter's layout and the key's word order")
  func layout() {
    let philox = Philox(seed: 0x1122_3344_5566_7788)
    #expect(philox.key == SIMD2(0x5566_7788, 0x1122_3344))
    let addressed = philox.block(
      elementBlock: 9, tensor: 3, step: 7, purpose: .sketch, query: 5)
    #expect(addressed == philox.block(SIMD4(9, 3, 7, 3 << 24 | 5)))
  }

  @Test("The parity values: seed 42, step 7, tensor 3")
  func parity() {
    let philox = Philox(seed: 42)
    #expect(
      philox.block(elementBlock: 0, tensor: 3, step: 7, purpose: .perturbation)
        == SIMD4(0x2B6C_136C, 0x9993_7DEB, 0xAD98_51A4, 0xF09E_FA19))
    let found = philox.normals(count: 4, tensor: 3, step: 7, purpose: .perturbation)
    let expected: [Float] = [-1.52461302, -1.10633183, 0.819374204, -0.324855238]
    for (value, figure) in zip(found, expected) { #expect(abs(value - figure) <= figure.ulp) }
  }

  @Test("A shorter stream is the beginning of a longer one; streams differ by every coordinate")
  func streams() {
    let philox = Philox(seed: 7)
    let long = philox.normals(count: 11, purpose: .perturbation)
    for count in 0...11 {
      #expect(philox.normals(count: count, purpose: .perturbation) == Array(long[..<count]))
    }
    #expect(philox.normals(count: 11, tensor: 1, purpose: .perturbation) != long)
    #expect(philox.normals(count: 11, step: 1, purpose: .perturbation) != long)
    #expect(philox.normals(count: 11, purpose: .sketch) != long)
    #expect(philox.normals(count: 11, purpose: .perturbation, query: 1) != long)
    #expect(Philox(seed: 8).normals(count: 11, purpose: .perturbation) != long)
  }

  @Test("The moments of 200,000 normal numbers")
  func moments() {
    let values = Philox(seed: 1).normals(count: 200_000, purpose: .sampling).map(Double.init)
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + $1 * $1 } / count
    let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / count
    // Four standard errors of each.
    #expect(abs(mean) < 0.009 && abs(variance - 1) < 0.013 && abs(fourth - 3) < 0.09)
    #expect(values.allSatisfy { $0.isFinite && abs($0) < 6 })
  }
}
