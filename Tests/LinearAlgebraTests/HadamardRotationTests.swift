import Tensors
import Testing

@testable import LinearAlgebra

@Suite struct HadamardRotationTests {
  @Test(arguments: [4, 8, 12, 20, 24, 28, 36, 44, 48, 60, 76, 84, 108, 140])
  func paleyMatricesAreHadamard(order: Int) throws {
    let entries = try #require(PaleyMatrix.entries(order: order))
    #expect(entries.allSatisfy { $0 == 1 || $0 == -1 })
    for row in 0..<order {
      for other in 0...row {
        let dot = (0..<order).reduce(0) {
          $0 + Int(entries[row * order + $1]) * Int(entries[other * order + $1])
        }
        #expect(dot == (row == other ? order : 0))
      }
    }
  }

  @Test func ordersWithoutAConstruction() {
    for order in [1, 2, 3, 6, 10, 18, 52, 92] { #expect(!PaleyMatrix.exists(order: order)) }
  }

  @Test(arguments: [
    (64, 1, 1, 64), (192, 1, 12, 16), (576, 1, 36, 16), (1536, 1, 12, 128), (704, 1, 44, 16),
    (172 * 64, 43, 1, 256), (7, 7, 1, 1), (14336, 1, 28, 512),
  ])
  func widths(width: Int, blocks: Int, factor: Int, power: Int) {
    let structure = HadamardRotation.Structure.spanning(width)
    #expect(structure.width == width)
    #expect((structure.blocks, structure.factor, structure.power) == (blocks, factor, power))
  }

  @Test(arguments: [1, 16, 24, 36, 43 * 4, 144], [false, true])
  func orthogonalAndUndone(width: Int, fixesMean: Bool) {
    let rotation = HadamardRotation(
      structure: .spanning(width), seed: 11, fixesMean: fixesMean)
    var q = Matrix<Double>.identity(width)
    rotation.apply(to: &q)
    for row in 0..<width {
      for other in 0...row {
        let dot = (0..<width).reduce(0.0) { $0 + q[row, $1] * q[other, $1] }
        #expect(abs(dot - (row == other ? 1 : 0)) < 1e-12)
      }
    }
    rotation.apply(to: &q, inverse: true)
    let identity = Matrix<Double>.identity(width)
    #expect(zip(q.values, identity.values).allSatisfy { abs($0 - $1) < 1e-12 })
  }

  @Test func aLoneChannelIsSpread() {
    let rotation = HadamardRotation(structure: .spanning(576), seed: 3)
    var one = Matrix<Float>(rows: 1, columns: 576, repeating: 0)
    one[0, 100] = 24
    rotation.apply(to: &one)
    #expect(one.values.allSatisfy { abs(abs($0) - 1) < 1e-5 })
  }

  @Test func theMeanIsKept() {
    let rotation = HadamardRotation(structure: .spanning(48), seed: 3, fixesMean: true)
    let plain = HadamardRotation(structure: .spanning(48), seed: 3)
    let x = Matrix(
      rows: 1, columns: 48, values: Philox(seed: 1).normals(count: 48, purpose: .sampling))
    func mean(_ rotation: HadamardRotation) -> Float {
      var turned = x
      rotation.apply(to: &turned)
      return turned.values.reduce(0, +) / 48
    }
    let before = x.values.reduce(0, +) / 48
    #expect(abs(mean(rotation) - before) < 1e-6)
    #expect(abs(mean(plain) - before) > 1e-3)
  }

  @Test func seedsAndStreams() {
    let structure = HadamardRotation.Structure.spanning(256)
    let one = HadamardRotation(structure: structure, seed: 1)
    #expect(one == HadamardRotation(structure: structure, seed: 1))
    #expect(one != HadamardRotation(structure: structure, seed: 2))
    #expect(one != HadamardRotation(structure: structure, seed: 1, stream: 1))
    #expect((64...192).contains(one.signs.count { $0 > 0 }))
  }
}
