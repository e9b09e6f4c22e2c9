import Kernels
import LinearAlgebra
import Pruning
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("Learned rounding")
struct LearnedRoundingTests {
  let original = Sample.matrix()
  var weight: CompressedWeight { .dense(original) }

  @Test("better than GPTQ at every width of codes, the report's numbers are true")
  func better() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    for bits in [4, 3, 2] {
      let scheme = try GPTQSample.scheme(bits, clip: .meanSquare())
      let sweep = try GPTQ.quantize(weight, gram: gram, scheme: scheme)
      let learned = try GPTQ.quantize(
        weight, gram: gram, scheme: scheme, options: GPTQOptions(rounding: .learned))
      try learned.weight.validate()
      let before = try GPTQSample.loss(sweep.weight, original, gram)
      let after = try GPTQSample.loss(learned.weight, original, gram)
      #expect(after < 0.985 * before)
      let energy = try WeightedError.of(original, gram: gram)
      #expect(abs(learned.report.weightedError - after * energy) <= 1e-3 * after * energy)
      #expect(learned.report.descents.first.map { $0.codesChanged > 0 } == true)
    }
  }

  @Test("any codes: no row ends worse, scales stay, workers change nothing")
  func rows() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    for granularity in [Granularity.group(8), .group(32), .channel, .tensor] {
      let scheme = try IntegerScheme(
        bits: 3, symmetric: false, granularity: granularity, clip: .none)
      let tall = Sample.normals(200, Sample.columns, seed: 9)
      let nearest = try RoundToNearest.quantize(.dense(tall), scheme: scheme)
      let (found, report) = try CodeDescent.descend(nearest, target: tall, gram: gram)
      try found.validate()
      #expect(found.scaleBytes == nearest.scaleBytes)
      #expect(report.after < 0.8 * report.before)
      let two = try CodeDescent.descend(
        nearest, target: tall, gram: gram, pool: WorkerPool(workers: 2))
      #expect(two.weight.codes == found.codes && two.report == report)
      let (left, right) = (nearest.decodedBase(), found.decodedBase())
      for row in stride(from: 0, to: tall.rows, by: 7) {
        func error(_ decoded: Matrix<Float>) throws -> Double {
          try WeightedError.of(
            WeightedError.subtract(decoded.rows(row..<row + 1), from: tall.rows(row..<row + 1)),
            gram: gram)
        }
        #expect(try error(right) <= error(left) * (1 + 1e-6))
      }
    }
  }

  @Test("nothing to gain: exact codes and diagonal statistics stay as they are")
  func fixedPoints() throws {
    let scheme = try GPTQSample.scheme(4)
    let nearest = try RoundToNearest.quantize(weight, scheme: scheme)
    let gram = try GPTQSample.gram(width: Sample.columns)
    let exact = try CodeDescent.descend(nearest, target: nearest.decodedBase(), gram: gram)
    #expect(exact.report.codesChanged == 0 && exact.weight.codes == nearest.codes)
    let diagonal = try CodeDescent.descend(
      nearest, target: original, gram: .identity(Sample.columns))
    #expect(diagonal.weight.codes == nearest.codes)
    let silent = try CodeDescent.descend(
      nearest, target: original,
      gram: Matrix(rows: Sample.columns, columns: Sample.columns, repeating: 0))
    #expect(silent.weight.codes == nearest.codes)
  }

  @Test("masked entries and outlier columns stay")
  func masks() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    var masked = weight
    masked.mask = Mask(rows: Sample.rows, columns: Sample.columns) { ($0 + $1) % 4 != 0 }
    let scheme = try GPTQSample.scheme(3)
    let options = GPTQOptions(rounding: .learned)
    let found = try GPTQ.quantize(masked, gram: gram, scheme: scheme, options: options).weight
    try found.validate()
    let decoded = found.decodedBase()
    for row in 0..<Sample.rows {
      for column in 0..<Sample.columns where (row + column) % 4 == 0 {
        #expect(decoded[row, column] == 0)
      }
    }
    let kept = try ColumnOutliers.extract(weight, columns: [90, 17, 17])
    #expect(kept.outliers?.columnNumbers == [17, 90])
    let quantized = try GPTQ.quantize(kept, gram: gram, scheme: scheme, options: options).weight
    try quantized.validate()
    let swept = try GPTQ.quantize(kept, gram: gram, scheme: scheme, options: GPTQOptions()).weight
    let (left, right) = (quantized.decodedBase(), swept.decodedBase())
    let loud = swept.codeRows.indices.allSatisfy { row in
      [17, 90].allSatisfy { quantized.codeRows[row][$0] == swept.codeRows[row][$0] }
    }
    #expect(loud && left != right)
  }

  @Test("statistics that do not fit, bases without codes: errors")
  func refused() throws {
    let scheme = try GPTQSample.scheme(3)
    let nearest = try RoundToNearest.quantize(weight, scheme: scheme)
    #expect(throws: QuantizationError.notQuantized(operation: "a descent")) {
      try CodeDescent.descend(weight, target: original, gram: .identity(Sample.columns))
    }
    #expect(
      throws: QuantizationError.statisticsMismatch(rows: 64, columns: 128, gram: [64, 64])
    ) {
      try CodeDescent.descend(nearest, target: original, gram: .identity(64))
    }
    #expect(
      throws: QuantizationError.optionOutOfRange(
        name: "rounds", value: "0", allowed: "from 1 to 100")
    ) {
      try GPTQ.quantize(
        weight, gram: .identity(Sample.columns), scheme: scheme,
        options: GPTQOptions(rounding: .learned, rounds: 0))
    }
  }
}

@Suite("OWQ")
struct WeakColumnTests {
  let original = Sample.matrix()
  var weight: CompressedWeight { .dense(original) }

  @Test("a few columns in f16 gain more than their share, all but one leave next to no loss")
  func gains() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let scheme = try GPTQSample.scheme(3, clip: .meanSquare())
    func run(_ count: Int) throws -> (CompressedWeight, GPTQReport) {
      try GPTQ.quantize(
        weight, gram: gram, scheme: scheme, options: GPTQOptions(weakColumns: count))
    }
    func loss(_ weight: CompressedWeight) throws -> Double {
      try WeightedError.relative(weight.decoded(), to: original, gram: gram)
    }
    let none = try run(0)
    #expect(none.0.outliers == nil && none.1.weakColumns.isEmpty)
    let some = try run(6)
    try some.0.validate()
    #expect(some.0.outliers?.columnNumbers == some.1.weakColumns)
    #expect(some.1.weakColumns.count == 6)
    #expect(try loss(some.0) < 0.7 * loss(none.0))
    let nearlyAll = try run(Sample.columns - 1)
    #expect(try loss(nearlyAll.0) < 1e-4)
    let base = some.0.decodedBase()
    for column in some.1.weakColumns {
      #expect((0..<Sample.rows).allSatisfy { base[$0, column] == 0 })
    }
    let energy = try WeightedError.of(original, gram: gram)
    let found = try loss(some.0) * energy
    #expect(abs(some.1.weightedError - found) <= 0.01 * found)
  }

  @Test("learned rounding on top is never worse; orders, masks and counts that cannot be: errors")
  func composes() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let scheme = try GPTQSample.scheme(3)
    func loss(_ options: GPTQOptions) throws -> Double {
      try WeightedError.relative(
        GPTQ.quantize(weight, gram: gram, scheme: scheme, options: options).weight.decoded(),
        to: original, gram: gram)
    }
    #expect(
      try loss(GPTQOptions(rounding: .learned, weakColumns: 4))
        < loss(GPTQOptions(weakColumns: 4)))
    for options in [
      GPTQOptions(order: .none, weakColumns: 4), GPTQOptions(weakColumns: Sample.columns),
    ] {
      #expect(throws: QuantizationError.self) { try loss(options) }
    }
    var masked = weight
    masked.mask = Mask(rows: Sample.rows, columns: Sample.columns) { $0 != $1 }
    #expect(throws: QuantizationError.self) {
      try GPTQ.quantize(
        masked, gram: gram, scheme: scheme, options: GPTQOptions(weakColumns: 4))
    }
  }
}

@Suite("Column kernels")
struct ColumnRunTests {
  /// Small whole numbers, so that every sum is exact and the kernel has no excuse.
  private struct Problem {
    let count: Int
    let stride: Int
    var targets: [Float]
    var factor: [Float]
    var gram: [Float]
    var sums: [Float]
    var scales: [Float]
    var zeros: [Float]
    var kept: [Float]

    init(count: Int, rows: Int) {
      self.count = count
      stride = ColumnRun<Float>.stride(rows: rows)
      var state: UInt64 = 88_172_645
      func next(_ range: Int) -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int(state >> 33) % (2 * range + 1) - range)
      }
      let size = count * stride
      targets = (0..<size).map { _ in next(40) / 4 }
      sums = (0..<size).map { _ in next(8) / 4 }
      kept = (0..<size).map { _ in next(3) == 0 ? 0 : 1 }
      factor = Array(repeating: 0, count: count * count)
      gram = factor
      for row in 0..<count {
        for column in row + 1..<max(count, row + 1) {
          factor[row * count + column] = next(2) / 4
          gram[row * count + column] = next(1)
          gram[column * count + row] = gram[row * count + column]
        }
        factor[row * count + row] = row % 2 == 0 ? 2 : 1
        gram[row * count + row] = 64
      }
      scales = (0..<2 * stride).map { $0 % 3 == 0 ? 0.5 : 1 }
      zeros = (0..<2 * stride).map { Float($0 % 9) }
    }

    func run<Result>(
      masked: Bool, _ codes: inout [UInt8], _ body: (ColumnRun<Float>) -> Result
    ) -> Result {
      let codeIndex = (0..<count).map { Int32(count - 1 - $0) }
      let gridIndex = (0..<count).map { Int32($0 % 2) }
      return codes.withUnsafeMutableBufferPointer { codes in
        targets.withUnsafeBufferPointer { targets in
          codeIndex.withUnsafeBufferPointer { codeIndex in
            gridIndex.withUnsafeBufferPointer { gridIndex in
              scales.withUnsafeBufferPointer { scales in
                zeros.withUnsafeBufferPointer { zeros in
                  kept.withUnsafeBufferPointer { kept in
                    guard let t = targets.baseAddress, let ci = codeIndex.baseAddress,
                      let gi = gridIndex.baseAddress, let c = codes.baseAddress,
                      let s = scales.baseAddress, let z = zeros.baseAddress
                    else { preconditionFailure("an empty problem") }
                    return body(
                      ColumnRun(
                        count: count, stride: stride, top: 15, targets: t, codeIndex: ci,
                        gridIndex: gi, codes: c, scales: s, zeros: z,
                        kept: masked ? kept.baseAddress : nil))
                  }
                }
              }
            }
          }
        }
      }
    }
  }

  @Test("the kernels are their plain twins", arguments: [1, 5, 24], [1, 32, 70])
  func twins(count: Int, rows: Int) throws {
    let problem = Problem(count: count, rows: rows)
    let size = count * problem.stride
    for masked in [false, true] {
      var (left, right) = ([UInt8](repeating: 0, count: size), [UInt8](repeating: 0, count: size))
      var (plain, fast) = ([Float](repeating: 0, count: size), [Float](repeating: 0, count: size))
      var (residuals, fastResiduals) = (plain, fast)
      let expected = problem.run(masked: masked, &left) {
        $0.sweepPlainly(
          factor: problem.factor, sums: problem.sums, differences: &plain,
          residuals: &residuals, rowLoss: nil)
      }
      let found = problem.run(masked: masked, &right) {
        Float.sweep(
          $0, factor: problem.factor, sums: problem.sums, differences: &fast,
          residuals: &fastResiduals, rowLoss: nil)
      }
      #expect(left == right && plain == fast && residuals == fastResiduals)
      #expect(abs(expected.loss - found.loss) <= 1e-9 * expected.loss)
      #expect(abs(expected.squaredError - found.squaredError) <= 1e-9 * expected.squaredError)

      var gradients = [Float](repeating: 0, count: size)
      for row in 0..<problem.stride {
        for column in 0..<count {
          for other in 0..<count {
            gradients[column * problem.stride + row] +=
              problem.gram[other * count + column] * plain[other * problem.stride + row]
          }
        }
      }
      var other = gradients
      let changed = problem.run(masked: masked, &left) {
        $0.descendPlainly(
          gram: problem.gram, gradients: &gradients, differences: &plain, passes: 3)
      }
      let fastChanged = problem.run(masked: masked, &right) { run -> UInt64 in
        var columns = PithColumns(run)
        return pith_descend_integer(&columns, problem.gram, &other, &fast, 3)
      }
      #expect(left == right && plain == fast && gradients == other)
      #expect(changed == Int(fastChanged))
      if count == 24, !masked { #expect(changed > 0) }
    }
  }
}
