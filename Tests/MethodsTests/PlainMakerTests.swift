import LowRank
import Pruning
import Quantization
import Tensors
import Testing

@testable import Weights

@Suite("Methods: plain makers, one at a time")
struct PlainMakerTests {
  @Test("magnitude drops exactly floor(n·s + ½) of the smallest")
  func magnitudeCount() throws {
    let matrix = Sample.matrix()
    let weight = CompressedWeight.dense(matrix)
    let entries = matrix.values.count
    for sparsity in [0, 0.1, 0.3333, 0.5, 0.77, 1] {
      let pruned = try MagnitudePruning.prune(weight, sparsity: sparsity)
      let dropped = entries - (pruned.mask?.keptCount ?? entries)
      #expect(dropped == Int((Double(entries) * sparsity + 0.5).rounded(.down)))
      #expect(pruned.sharesBase(with: weight))
      guard let mask = pruned.mask else { continue }
      let decoded = pruned.decoded()
      var largestDropped: Float = 0
      var smallestKept = Float.infinity
      for row in 0..<Sample.rows {
        for column in 0..<Sample.columns {
          let magnitude = abs(matrix[row, column])
          if mask.isKept(row, column) {
            smallestKept = min(smallestKept, magnitude)
            #expect(decoded[row, column] == matrix[row, column])
          } else {
            largestDropped = max(largestDropped, magnitude)
          }
        }
      }
      #expect(largestDropped <= smallestKept)
    }
  }

  @Test("ties go to the lower index, zeros of the weight are entries like others")
  func magnitudeTies() throws {
    let matrix = Matrix<Float>(rows: 2, columns: 4, values: [1, -1, 1, 0, -1, 1, 0, 2])
    let pruned = try MagnitudePruning.prune(.dense(matrix), sparsity: 0.5)
    #expect(pruned.decoded().values == [0, 0, 1, 0, -1, 1, 0, 2])
  }

  @Test("a mask is only ever tightened")
  func magnitudeTightens() throws {
    let weight = CompressedWeight.dense(Sample.matrix())
    let half = try MagnitudePruning.prune(weight, sparsity: 0.5)
    let less = try MagnitudePruning.prune(half, sparsity: 0.2)
    let more = try MagnitudePruning.prune(half, sparsity: 0.7)
    let halfMask = try #require(half.mask)
    let lessMask = try #require(less.mask)
    let moreMask = try #require(more.mask)
    #expect(lessMask.keptCount == halfMask.keptCount)
    #expect(moreMask.keptCount == Sample.rows * Sample.columns * 3 / 10 + 1)
    #expect(moreMask.intersecting(halfMask).keptCount == moreMask.keptCount)
  }

  @Test("n:m keeps the largest of every group")
  func pattern() throws {
    let weight = CompressedWeight.dense(Sample.matrix())
    for (keep, of) in [(2, 4), (1, 4), (4, 8)] {
      let pruned = try MagnitudePruning.prune(weight, pattern: try KeepPattern(keep: keep, of: of))
      let mask = try #require(pruned.mask)
      let before = weight.decoded()
      for row in 0..<Sample.rows {
        for start in stride(from: 0, to: Sample.columns, by: of) {
          let kept = (start..<start + of).filter { mask.isKept(row, $0) }
          #expect(kept.count == keep)
          let least = kept.map { abs(before[row, $0]) }.min() ?? 0
          for column in start..<start + of where !kept.contains(column) {
            #expect(abs(before[row, column]) <= least)
          }
        }
      }
    }
    #expect(throws: WeightsError.patternInvalid(keep: 4, of: 4, columns: 0)) {
      try KeepPattern(keep: 4, of: 4)
    }
    #expect(throws: WeightsError.patternInvalid(keep: 1, of: 3, columns: 128)) {
      try MagnitudePruning.prune(weight, pattern: try KeepPattern(keep: 1, of: 3))
    }
  }

  @Test("pruning a quantized base keeps its codes")
  func prunedCodes() throws {
    let quantized = try RoundToNearest.quantize(
      .dense(Sample.matrix()), scheme: try Sample.scheme())
    let pruned = try MagnitudePruning.prune(quantized, sparsity: 0.5)
    #expect(pruned.sharesBase(with: quantized))
    #expect(pruned.mask?.keptCount == Sample.rows * Sample.columns / 2)
  }

  @Test("outliers: the loud columns move out, the sum stays, quantizing gets better")
  func outliers() throws {
    let matrix = Sample.matrix()
    let weight = CompressedWeight.dense(matrix)
    let out = try ColumnOutliers.extract(weight, count: 2, valueType: .f32)
    #expect(out.outliers?.columnNumbers == [17, 90])
    #expect(out.decoded() == matrix)
    #expect((0..<Sample.rows).allSatisfy { out.decodedBase()[$0, 17] == 0 })
    let scheme = try Sample.scheme()
    let with = Sample.error(matrix, try RoundToNearest.quantize(out, scheme: scheme).decoded())
    let without = Sample.error(
      matrix, try RoundToNearest.quantize(weight, scheme: scheme).decoded())
    #expect(with < 0.5 * without)
    let half = try ColumnOutliers.extract(weight, count: 2)
    #expect(Sample.error(matrix, half.decoded()) < 5e-4)
    let more = try ColumnOutliers.extract(out, count: 3, valueType: .f32)
    #expect(more.outliers?.count == 5 && more.decoded() == matrix)
    #expect(throws: WeightsError.countOutOfRange(count: 127, columns: 126)) {
      try ColumnOutliers.extract(out, count: 127)
    }
    #expect(throws: WeightsError.valueNotFinite(part: "outliers/values", index: 0)) {
      let large = Matrix<Float>(rows: 1, columns: 4, repeating: 1e6)
      return try ColumnOutliers.extract(.dense(large), count: 1)
    }
  }

  @Test("outliers of a quantized base keep its codes and the sum")
  func quantizedOutliers() throws {
    let quantized = try RoundToNearest.quantize(
      .dense(Sample.matrix()), scheme: try Sample.scheme())
    let pruned = try MagnitudePruning.prune(quantized, sparsity: 0.3)
    for weight in [quantized, pruned] {
      let out = try ColumnOutliers.extract(weight, count: 3, valueType: .f32)
      #expect(out.decoded() == weight.decoded())
      #expect(out.sharesBase(with: weight))
    }
  }

  @Test("channel scaling keeps the product and refuses a quantized base")
  func scaling() throws {
    let matrix = Sample.matrix()
    let scale = (0..<Sample.columns).map { 0.25 + Float($0 % 9) }
    var weight = try ColumnOutliers.extract(.dense(matrix), count: 2, valueType: .f32)
    weight = try PlainSVD.decompose(weight, original: matrix, rank: 4)
    let scaled = try ChannelScaling.apply(weight, scale: scale)
    #expect(Sample.error(matrix, scaled.decoded()) < 1e-3)
    let twice = try ChannelScaling.apply(scaled, scale: scale.reversed())
    #expect(Sample.error(matrix, twice.decoded()) < 2e-3)
    let inputs = Sample.normals(5, Sample.columns, seed: 9)
    #expect(
      Sample.error(weight.multiplied(by: inputs), scaled.multiplied(by: inputs)) < 1e-3)
    let quantized = try RoundToNearest.quantize(weight, scheme: try Sample.scheme())
    #expect(throws: WeightsError.baseQuantized(operation: "channel scaling")) {
      try ChannelScaling.apply(quantized, scale: scale)
    }
    #expect(throws: WeightsError.scaleNotUsable(part: "channel scale", index: 3, value: 0)) {
      var bad = scale
      bad[3] = 0
      return try ChannelScaling.apply(weight, scale: bad)
    }
  }

  @Test("channel scaling with the columns' own sizes helps round to nearest")
  func scalingHelps() throws {
    let matrix = Sample.matrix()
    let scale = (0..<Sample.columns).map { $0 == 17 || $0 == 90 ? Float(1) / 12 : 1 }
    let scheme = try Sample.scheme()
    let scaled = try RoundToNearest.quantize(
      try ChannelScaling.apply(.dense(matrix), scale: scale), scheme: scheme)
    let plain = try RoundToNearest.quantize(.dense(matrix), scheme: scheme)
    let quiet = { (other: Matrix<Float>) -> Double in
      let mask = Mask(rows: Sample.rows, columns: Sample.columns) { $1 != 17 && $1 != 90 }
      return Sample.error(mask.applied(to: matrix), mask.applied(to: other))
    }
    #expect(quiet(scaled.decoded()) < 0.8 * quiet(plain.decoded()))
  }

  @Test("decompose: factors rounded first, so that the sum is right to f32")
  func decompose() throws {
    let matrix = Sample.matrix()
    for type in [DType.f32, .f16, .bf16] {
      let weight = try PlainSVD.decompose(
        .dense(matrix), original: matrix, rank: 8, factorType: type)
      #expect(Sample.error(matrix, weight.decoded()) < 1e-6)
      let residual = weight.decodedBase().values.reduce(0.0) { $0 + Double($1 * $1) }
      let whole = matrix.values.reduce(0.0) { $0 + Double($1 * $1) }
      #expect(residual < 0.3 * whole)
    }
    #expect(throws: WeightsError.rankOutOfRange(rank: 65, rows: 64, columns: 128)) {
      try PlainSVD.decompose(.dense(matrix), original: matrix, rank: 65)
    }
    #expect(
      throws: WeightsError.sizesDiffer(
        operation: "low_rank of: error", expected: [64, 128], found: [1, 2])
    ) {
      try PlainSVD.repair(
        .dense(matrix), original: Matrix(rows: 1, columns: 2, values: [1, 2]), rank: 1)
    }
  }

  @Test("repair lowers the error more the higher its rank, and nothing is not repaired")
  func repair() throws {
    let matrix = Sample.matrix()
    let quantized = try RoundToNearest.quantize(.dense(matrix), scheme: try Sample.scheme(2))
    var last = Sample.error(matrix, quantized.decoded())
    for rank in [1, 4, 16, 64] {
      let repaired = try PlainSVD.repair(quantized, original: matrix, rank: rank)
      #expect(repaired.sharesBase(with: quantized))
      let error = Sample.error(matrix, repaired.decoded())
      #expect(error < last)
      last = error
    }
    #expect(last < 2e-3)
    let exact = try PlainSVD.repair(.dense(matrix), original: matrix, rank: 4)
    #expect(exact.lowRank.isEmpty)
  }

  @Test("a missing base is refused by name")
  func missingBase() throws {
    let matrix = Sample.matrix()
    var weight = try PlainSVD.decompose(.dense(matrix), original: matrix, rank: 4)
    weight.base = nil
    #expect(throws: WeightsError.baseMissing(operation: "quantize")) {
      try RoundToNearest.quantize(weight, scheme: try Sample.scheme())
    }
    #expect(throws: WeightsError.baseMissing(operation: "prune")) {
      try MagnitudePruning.prune(weight, sparsity: 0.5)
    }
    let repaired = try PlainSVD.repair(weight, original: matrix, rank: 64)
    #expect(Sample.error(matrix, repaired.decoded()) < 1e-3)
  }
}
