import Tensors
import Testing

@testable import Weights

@Suite("Weights: the sum of parts")
struct CompressedWeightTests {
  @Test("products equal those of the decoded weight, for every combination of parts")
  func products() throws {
    for weight in try WeightFixture.all() {
      for count in [1, 3, 8, 9, 40] {
        let inputs = Sample.matrix(count, weight.columns, seed: 11)
        let found = weight.multiplied(by: inputs)
        let expected = weight.multipliedByReference(inputs)
        #expect(Sample.error(expected, found) < 1e-5, "\(count) rows")
      }
    }
  }

  @Test("one and two workers give the same bits, beyond one tile too")
  func workers() throws {
    let pool = WorkerPool(workers: 2)
    let large = Sample.matrix(600, 96, seed: 2)
    var weights = try WeightFixture.all()
    weights.append(.dense(large))
    weights.append(.dense(large, as: .bf16))
    weights.append(
      CompressedWeight(
        view: WeightView(rows: 600, columns: 96),
        base: .integer(
          try IntegerBase.roundToNearest(
            large, scheme: try IntegerScheme(bits: 4, granularity: .group(32), clip: .none)))))
    for weight in weights {
      for count in [1, 4, 33] {
        let inputs = Sample.matrix(count, 96, seed: 12)
        let one = weight.multiplied(by: inputs)
        let two = weight.multiplied(by: inputs, pool: pool)
        #expect(one.values == two.values)
      }
    }
    let dense = CompressedWeight.dense(large)
    let inputs = Sample.matrix(3, 96)
    #expect(
      Sample.error(dense.multipliedByReference(inputs), dense.multiplied(by: inputs)) < 1e-5)
  }

  @Test("no rows of inputs, no outputs, no columns")
  func emptyProducts() {
    let weight = CompressedWeight.dense(Matrix(rows: 3, columns: 0, values: []))
    let result = weight.multiplied(by: Matrix(rows: 2, columns: 0, values: []))
    #expect(result.values == [Float](repeating: 0, count: 6))
    let other = CompressedWeight.dense(Matrix(rows: 0, columns: 4, values: []))
    #expect(other.multiplied(by: Sample.matrix(2, 4)).values.isEmpty)
    #expect(
      CompressedWeight.dense(Sample.matrix(2, 4)).multiplied(
        by: Matrix(rows: 0, columns: 4, values: [])
      ).values.isEmpty)
  }

  @Test("folding a site undoes unfolding it, and T acts on inputs as it acts on the weight")
  func sites() {
    let site = WeightFixture.site
    let original = Sample.matrix(5, WeightFixture.columns)
    var matrix = original
    site.unfold(&matrix)
    #expect(Sample.error(original, matrix) > 0.1)
    site.fold(into: &matrix)
    #expect(Sample.error(original, matrix) < 1e-6)
  }

  @Test("some rows decode as the whole does")
  func ranges() throws {
    for weight in try WeightFixture.all() {
      let whole = weight.decoded()
      #expect(Sample.error(whole.rows(5..<21), weight.decoded(rows: 5..<21)) < 1e-6)
      #expect(weight.decoded(rows: 7..<7).values.isEmpty)
    }
  }

  @Test("a mask keeps, counts and intersects")
  func masks() {
    let mask = Mask(rows: 3, columns: 13) { $0 == 1 || $1 == 12 }
    #expect(mask.keptCount == 15)
    #expect(mask.isKept(1, 0) && mask.isKept(2, 12) && !mask.isKept(0, 11))
    let other = Mask(rows: 3, columns: 13) { _, column in column >= 6 }
    #expect(mask.intersecting(other).keptCount == 9)
    let ones = Matrix<Float>(rows: 3, columns: 13, repeating: 1)
    #expect(mask.applied(to: ones).values.reduce(0, +) == 15)
  }

  @Test("stored bytes are those of all parts, padding included")
  func bytes() throws {
    var weight = CompressedWeight(
      view: WeightView(rows: 48, columns: 96), base: try WeightFixture.integer(3))
    #expect(weight.storedBytes == 48 * 36 + 48 * 3 * 2)
    weight.mask = WeightFixture.mask
    #expect(weight.storedBytes == 48 * 36 + 48 * 3 * 2 + 48 * 12)
    weight.outliers = WeightFixture.outliers
    weight.lowRank = [WeightFixture.path]
    weight.site = WeightFixture.site
    let more = 3 * 4 + 48 * 3 * 2 + 48 * 4 * 2 + 4 * 96 * 2 + 16 + 96 * 8
    #expect(weight.storedBytes == 48 * 36 + 48 * 3 * 2 + 48 * 12 + more)
    #expect(weight.bitsPerWeight == Double(weight.storedBytes) * 8 / Double(48 * 96))
    #expect(CompressedWeight.dense(Sample.matrix(4, 4)).bitsPerWeight == 32)
  }

  @Test("views turn layouts to out × in and back")
  func views() {
    let values = (0..<24).map(Float.init)
    let kernel = WeightView(sourceShape: [2, 1, 3, 4], layout: .outputsLast)
    #expect(kernel.rows == 4 && kernel.columns == 6)
    let matrix = kernel.matrix(from: values)
    #expect(matrix[1, 0] == 1 && matrix[1, 2] == 9)
    #expect(kernel.sourceValues(of: matrix) == values)
    let torch = WeightView(sourceShape: [4, 3, 2], layout: .outputsFirst)
    #expect(torch.matrix(from: values)[1, 0] == 6)
    #expect(CompressedWeight.dense(matrix, view: kernel).decodedInSourceLayout() == values)
  }
}
