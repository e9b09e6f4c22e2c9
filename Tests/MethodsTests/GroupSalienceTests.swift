import Checkpoints
import LinearAlgebra
import Tensors
import TestSupport
import Testing

@testable import Quantization
@testable import Weights

@Suite("GPTQ with bits by salience (SliM-LLM)")
struct GroupSalienceTests {
  static let matrix = Sample.normals(48, 512, seed: 77)

  /// Inputs of which one group in eight is loud.
  static func gram(loud: Float) throws -> Matrix<Double> {
    var inputs = Sample.normals(1024, 512, seed: 5)
    for row in 0..<inputs.rows {
      for column in 0..<512 where column / 32 % 8 == 3 { inputs[row, column] *= loud }
    }
    return try Syrk.gramInDouble(inputs)
  }

  static func format(_ bits: Int, share: Double = 0.125) throws -> GPTQ.Format {
    .mixed(
      try MixedScheme(
        GPTQSample.scheme(bits, symmetric: bits > 2, clip: .meanSquare()), share: share))
  }

  @Test("where groups count unequally it loses less than equal bits, in no more bytes of codes")
  func loss() throws {
    let weight = CompressedWeight.dense(Self.matrix)
    for bits in [2, 3, 4] {
      for (loud, wins) in [(Float(6), true), (1, false)] {
        let gram = try Self.gram(loud: loud)
        let mixed = try GPTQ.quantize(weight, gram: gram, format: Self.format(bits))
        let uniform = try GPTQ.quantize(
          weight, gram: gram,
          scheme: GPTQSample.scheme(bits, symmetric: bits > 2, clip: .meanSquare()))
        try mixed.weight.validate()
        let found = try GPTQSample.loss(mixed.weight, Self.matrix, gram)
        let equal = try GPTQSample.loss(uniform.weight, Self.matrix, gram)
        // A byte says the class of a group.
        #expect(mixed.weight.storedBytes <= uniform.weight.storedBytes + 16)
        // With equal inputs there is nothing to gain: the test can tell.
        #expect((found < 0.8 * equal) == wins, "\(bits) \(loud): \(found) of \(equal)")
        let report = try #require(mixed.report.refit)
        #expect(report.rowsImproved > 24 && report.after < report.before)
      }
    }
  }

  @Test("the loud groups get the bits, whatever the order and the workers")
  func salience() throws {
    let gram = try Self.gram(loud: 6)
    var weight = CompressedWeight.dense(Self.matrix)
    weight.mask = Mask(rows: 48, columns: 512) { ($0 + $1) % 2 == 0 }
    for order in GPTQOptions.Order.allCases {
      let options = GPTQOptions(order: order)
      let one = try GPTQ.quantize(
        weight, gram: gram, format: Self.format(2), options: options
      ).weight
      let two = try GPTQ.quantize(
        weight, gram: gram, format: Self.format(2), options: options, pool: WorkerPool(workers: 2)
      ).weight
      try one.validate()
      for (a, b) in zip(one.payloads, two.payloads) {
        #expect(a.bytes.array(of: UInt8.self) == b.bytes.array(of: UInt8.self))
      }
      #expect(one.decodedBase()[0, 1] == 0)
      guard case .mixed(let base) = one.base else { return }
      let members = base.members.bytes.array(of: UInt8.self)
      #expect(members[3] == 2 && members[11] == 2)
      #expect(members.count { $0 == 2 } == 2 && members.count { $0 == 0 } == 5)
    }
  }

  @Test("statistics of zeros: rounded to the nearest, by the weight's own squares")
  func uninformed() throws {
    let gram = Matrix<Double>(rows: 512, columns: 512, repeating: 0)
    let weight = CompressedWeight.dense(Self.matrix)
    let result = try GPTQ.quantize(weight, gram: gram, format: Self.format(2))
    #expect(result.report.isUninformed)
    guard case .mixed(let scheme) = try Self.format(2) else { return }
    #expect(
      result.weight.decodedBase()
        == (try RoundToNearest.quantize(weight, scheme: scheme)).decodedBase())
  }
}
