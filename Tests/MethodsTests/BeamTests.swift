import Kernels
import LinearAlgebra
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("Codes chosen together")
struct BeamTests {
  /// A block of columns, its factor and what its rows begin with.
  private struct Problem {
    let count = 12
    let rows = 40
    let stride = ColumnRun<Float>.stride(rows: 40)
    let top = 7
    var values: [Float]
    var residuals: [Float]
    var factor: [Float]
    var scales: [Float]
    var zeros: [Float]
    var kept: [Float]

    init() {
      let random = Philox(seed: 4).normals(count: 4096, purpose: .sampling)
      let size = count * stride
      scales = (0..<stride).map { 0.5 + Float($0 % 5) / 8 }
      zeros = (0..<stride).map { Float($0 % 7) }
      values = Array(repeating: 0, count: size)
      residuals = values
      kept = values
      for place in 0..<size {
        let row = place % stride
        values[place] = (Float(place % 8) - zeros[row]) * scales[row]
        residuals[place] = random[place % 4000] * 2
        kept[place] = place % 5 == 0 ? 0 : 1
      }
      factor = Array(repeating: 0, count: count * count)
      for i in 0..<count {
        for j in i..<count {
          factor[i * count + j] =
            i == j ? 0.5 + abs(random[i]) : 0.6 * random[100 + i * count + j]
        }
      }
    }

    func loss(_ codes: [UInt8], _ row: Int, masked: Bool) -> Double {
      var sum = 0.0
      for j in 0..<count {
        var term = Double(residuals[j * stride + row])
        for i in 0...j where !masked || kept[i * stride + row] != 0 {
          let place = i * stride + row
          let value = (Float(codes[place]) - zeros[row]) * scales[row]
          term += Double(values[place] - value) * Double(factor[i * count + j])
        }
        sum += term * term
      }
      return sum
    }

    /// The nearest code of each column in turn: what a beam of one gives.
    func babai(_ row: Int, masked: Bool) -> [UInt8] {
      var codes = [UInt8](repeating: 0, count: count * stride)
      var changes: [Float] = []
      for j in 0..<count {
        let place = j * stride + row
        var partial = residuals[place]
        for (i, change) in changes.enumerated() { partial += change * factor[i * count + j] }
        let wanted = (values[place] + partial / factor[j * count + j]) / scales[row] + zeros[row]
        let isKept = !masked || kept[place] != 0
        codes[place] = isKept ? UInt8(min(max(wanted.rounded(), 0), Float(top))) : 0
        changes.append(
          isKept ? values[place] - (Float(codes[place]) - zeros[row]) * scales[row] : 0)
      }
      return codes
    }

    func search(masked: Bool) -> (codes: [UInt8], gains: [Float]) {
      var codes = [UInt8](repeating: 255, count: count * stride)
      var gains = [Float](repeating: -1, count: stride)
      let places = (0..<count).map { Int32($0) }
      let grids = [Int32](repeating: 0, count: count)
      values.withUnsafeBufferPointer { values in
        kept.withUnsafeBufferPointer { kept in
          scales.withUnsafeBufferPointer { scales in
            zeros.withUnsafeBufferPointer { zeros in
              places.withUnsafeBufferPointer { places in
                grids.withUnsafeBufferPointer { grids in
                  codes.withUnsafeMutableBufferPointer { codes in
                    guard let v = values.baseAddress, let s = scales.baseAddress,
                      let z = zeros.baseAddress, let ci = places.baseAddress,
                      let gi = grids.baseAddress, let c = codes.baseAddress
                    else { return }
                    var columns = PithColumns(
                      ColumnRun<Float>(
                        count: count, stride: stride, top: top, targets: v, codeIndex: ci,
                        gridIndex: gi, codes: c, scales: s, zeros: z,
                        kept: masked ? kept.baseAddress : nil))
                    pith_beam_integer(&columns, rows, factor, residuals, &gains)
                  }
                }
              }
            }
          }
        }
      }
      return (codes, gains)
    }
  }

  @Test("the gains are true; less is lost than by the nearest code in turn")
  func kernel() {
    let problem = Problem()
    for masked in [false, true] {
      var found: [(codes: [UInt8], gains: [Float])] = []
      for index in 0..<pith_kernel_target_count()
      where pith_kernel_target_for_this_thread(index) == 0 {
        found.append(problem.search(masked: masked))
      }
      _ = pith_kernel_target_for_this_thread(-1)
      var (sum, other, worse) = (0.0, 0.0, 0)
      for row in 0..<problem.rows {
        let before = (0..<problem.count).reduce(0.0) {
          let u = Double(problem.residuals[$1 * problem.stride + row])
          return $0 + u * u
        }
        let babai = problem.loss(problem.babai(row, masked: masked), row, masked: masked)
        for one in found {
          let loss = problem.loss(one.codes, row, masked: masked)
          #expect(abs(Double(one.gains[row]) - max(0, before - loss)) < 1e-3 * before)
          if loss > babai * 1.0001 { worse += 1 }
        }
        sum += problem.loss(found[0].codes, row, masked: masked)
        other += babai
        for column in 0..<problem.count {
          #expect(found[0].codes[column * problem.stride + row] <= 7)
        }
      }
      // A beginning that ends best may have been dropped, if seldom.
      #expect(worse <= problem.rows / 20 * found.count)
      #expect(sum < 0.9 * other, "\(sum) of \(other)")
    }
  }

  @Test("a block's factor is that of its part of H; what is no Gram matrix is bounded from above")
  func factors() throws {
    let gram = try GPTQSample.gram(width: 64)
    let normalized = NormalizedGram(gram, mean: 1).values
    let columns = [3, 60, 17, 5, 44, 9]
    let factor = BeamPlan.factor(of: columns, normalized)
    for (i, left) in columns.enumerated() {
      for (j, right) in columns.enumerated() {
        let product = columns.indices.reduce(Float(0)) {
          $0 + factor[i * columns.count + $1] * factor[j * columns.count + $1]
        }
        let size = (normalized[left, left] * normalized[right, right]).squareRoot()
        #expect(abs(product - normalized[left, right]) < 1e-4 * size)
      }
      for j in 0..<i { #expect(factor[i * columns.count + j] == 0) }
    }
    let hostile = Matrix<Float>(rows: 2, columns: 2, values: [1, 9, 9, 1])
    let bound = BeamPlan.factor(of: [0, 1], hostile)
    #expect(bound[0] * bound[0] >= 9.99 && bound[1] == 0 && bound.allSatisfy(\.isFinite))
  }

  @Test("better than single codes and scales in turn, grids that move gain more; never worse")
  func learned() throws {
    let original = Sample.matrix()
    let gram = try GPTQSample.gram(width: Sample.columns)
    let normalized = try NormalizedGram(
      gram, weight: RoundToNearest.quantize(.dense(original), scheme: GPTQSample.scheme(4)),
      target: original, operation: "a test")
    for bits in [4, 3, 2] {
      let scheme = try GPTQSample.scheme(bits, clip: .meanSquare())
      let start = try GPTQ.quantize(.dense(original), gram: gram, scheme: scheme).weight
      func rounds(_ search: (Int) -> BeamPlan.Round?) throws -> Double {
        var weight = start
        for round in 0..<4 {
          let found = CodeDescent.descend(
            weight, target: original, gram: normalized, search: search(round), pool: .serial)
          #expect(found.report.after <= found.report.before)
          weight = try ScaleRefit.refit(found.weight, target: original, gram: gram).weight
        }
        try weight.validate()
        return try GPTQSample.loss(weight, original, gram)
      }
      let single = try rounds { _ in nil }
      let together = try rounds { $0 == 0 ? nil : .init(number: $0, movesGrids: false) }
      let moved = try rounds { $0 == 0 ? nil : .init(number: $0, movesGrids: true) }
      #expect(together < 0.98 * single, "\(bits): \(together) and \(single)")
      #expect(moved < together, "\(bits): \(moved) and \(together)")
    }
  }

  @Test("symmetric grids, channels and whole tensors; workers change nothing", arguments: [3, 2])
  func granularities(bits: Int) throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let tall = Sample.normals(100, Sample.columns, seed: 9)
    for granularity in [Granularity.group(16), .channel, .tensor] {
      for symmetric in [true, false] {
        let scheme = try IntegerScheme(
          bits: bits, symmetric: symmetric, granularity: granularity, clip: .none)
        func run(_ pool: WorkerPool) throws -> CompressedWeight {
          let (weight, report) = try GPTQ.quantize(
            .dense(tall), gram: gram, scheme: scheme, options: GPTQOptions(rounding: .learned),
            pool: pool)
          try weight.validate()
          for descent in report.descents { #expect(descent.after <= descent.before) }
          return weight
        }
        let (one, two) = (try run(.serial), try run(WorkerPool(workers: 2)))
        #expect(one.codes == two.codes && one.scaleBytes == two.scaleBytes)
        #expect(one.decoded() == two.decoded())
      }
    }
  }
}
