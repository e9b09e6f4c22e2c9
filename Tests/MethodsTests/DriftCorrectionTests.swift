import LinearAlgebra
import Quantization
import Tensors
import Testing

@Suite struct DriftCorrectionTests {
  private let rows = 400
  private let width = 24
  private let outputs = 10

  /// Inputs, the same as a lossy layer before would give them, and a stream beside.
  private struct Sample {
    var x: Matrix<Double>
    var drifted: Matrix<Double>
    var stream: Matrix<Double>
    var weight: Matrix<Float>
  }

  private func sample() -> Sample {
    let generator = Philox(seed: 5)
    func normals(_ rows: Int, _ columns: Int, _ query: UInt32) -> Matrix<Double> {
      Matrix(
        rows: rows, columns: columns,
        values: generator.normals(count: rows * columns, purpose: .sampling, query: query)
          .map(Double.init))
    }
    let x = normals(rows, width, 0)
    let noise = normals(rows, width, 1)
    var drifted = x
    for index in drifted.values.indices {
      drifted.values[index] += 0.3 * noise.values[index]
    }
    // The stream's error follows the inputs in part: that part can be made good.
    var stream = normals(rows, outputs, 2)
    for row in 0..<rows {
      for column in 0..<outputs {
        stream[row, column] = 0.1 * stream[row, column] + drifted[row, column]
      }
    }
    return Sample(
      x: x, drifted: drifted, stream: stream,
      weight: normals(outputs, width, 3).converted(to: Float.self))
  }

  private func product(_ left: Matrix<Double>, _ right: Matrix<Double>) throws -> Matrix<Double> {
    try Gemm.product(left, transposed: true, right)
  }

  private func difference(_ left: Matrix<Double>, _ right: Matrix<Double>) -> Matrix<Double> {
    var result = left
    for index in result.values.indices { result.values[index] -= right.values[index] }
    return result
  }

  /// ‖x Wᵀ + stream − x̂ Ŵᵀ‖².
  private func loss(_ sample: Sample, _ weight: Matrix<Float>, withStream: Bool) throws -> Double {
    var target = try Gemm.product(
      sample.x, transposed: false, sample.weight.converted(to: Double.self), transposed: true)
    if withStream {
      for index in target.values.indices { target.values[index] += sample.stream.values[index] }
    }
    let found = try Gemm.product(
      sample.drifted, transposed: false, weight.converted(to: Double.self), transposed: true)
    return difference(target, found).values.reduce(0) { $0 + $1 * $1 }
  }

  @Test func theDenseModelsOutputsAreMetBetter() throws {
    let sample = sample()
    let gram = try product(sample.drifted, sample.drifted)
    let inputs = try product(difference(sample.x, sample.drifted), sample.drifted)
    let stream = try product(sample.stream, sample.drifted)
    for withStream in [false, true] {
      let corrected = try DriftCorrection.target(
        sample.weight, gram: gram, inputs: inputs, stream: withStream ? stream : nil,
        damping: 1e-6)
      let before = try loss(sample, sample.weight, withStream: withStream)
      let after = try loss(sample, corrected, withStream: withStream)
      #expect(after < 0.97 * before && (!withStream || after < 0.7 * before))
      // It is the minimum: a step in any direction loses.
      for index in [0, 57, 133] {
        var moved = corrected
        moved.values[index] += 0.01
        #expect(try loss(sample, moved, withStream: withStream) > after)
        moved.values[index] -= 0.02
        #expect(try loss(sample, moved, withStream: withStream) > after)
      }
      // More damping stays nearer to the weight.
      let careful = try DriftCorrection.target(
        sample.weight, gram: gram, inputs: inputs, stream: withStream ? stream : nil, damping: 1)
      #expect(try loss(sample, careful, withStream: withStream) > after)
    }
  }

  @Test func withoutDriftNothingChanges() throws {
    let sample = sample()
    let gram = try product(sample.x, sample.x)
    let none = Matrix<Double>(rows: width, columns: width, repeating: 0)
    #expect(
      try DriftCorrection.target(sample.weight, gram: gram, inputs: none, stream: nil)
        == sample.weight)
    #expect(
      try DriftCorrection.target(sample.weight, gram: none, inputs: none, stream: nil)
        == sample.weight)
  }

  @Test func otherSizesAreRefused() throws {
    let sample = sample()
    let gram = Matrix<Double>(rows: 3, columns: 3, repeating: 1)
    #expect(throws: QuantizationError.self) {
      try DriftCorrection.target(sample.weight, gram: gram, inputs: gram, stream: nil)
    }
  }
}
