import LinearAlgebra
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("GPTQ: the sweep")
struct GPTQTests {
  let original = Sample.matrix()
  var weight: CompressedWeight { .dense(original) }

  @Test(
    "a diagonal Gram matrix gives round-to-nearest, bit for bit",
    arguments: [GPTQOptions.Order.none, .activation, .groups])
  func diagonal(order: GPTQOptions.Order) throws {
    var gram = Matrix<Double>.identity(Sample.columns)
    for index in 0..<Sample.columns { gram[index, index] = 0.25 + Double((index * 37) % 11) }
    for symmetric in [true, false] {
      for clip in [ClipSearch.none, .meanSquare()] {
        // Sums of a group's errors depend on its order: the search is compared in its own.
        if order == .groups, clip != .none { continue }
        let scheme = try GPTQSample.scheme(3, symmetric: symmetric, clip: clip)
        let nearest = try RoundToNearest.quantize(weight, scheme: scheme)
        let found = try GPTQ.quantize(
          weight, gram: gram, scheme: scheme,
          options: GPTQOptions(order: order, refit: false)
        ).weight
        #expect(found.codes == nearest.codes)
        #expect(found.scaleBytes == nearest.scaleBytes)
        #expect(found.decoded() == nearest.decoded())
      }
    }
  }

  @Test(
    "the blocked sweep in f64 is the plain one",
    arguments: [GPTQOptions.Order.none, .activation, .groups])
  func reference(order: GPTQOptions.Order) throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    for (bits, group, clip) in [(4, 32, ClipSearch.none), (2, 8, .meanSquare()), (3, 128, .none)] {
      let scheme = try GPTQSample.scheme(bits, group: group, clip: clip)
      var options = GPTQOptions(
        order: order, refit: false, precision: .double, bounded: false)
      let plain = try GPTQ.reference(original, gram: gram, scheme: scheme, options: options)
      let expected = try WeightedError.relative(plain.decoded, to: original, gram: gram)
      let fast = try GPTQ.quantize(weight, gram: gram, scheme: scheme, options: options).weight
      let loss = try GPTQSample.loss(fast, original, gram)
      #expect(abs(loss - expected) <= 1e-6 * expected)
      #expect(fast.codeRows == plain.codes)
      // f32 takes other turns at near ties, each as good as the other.
      options.precision = .single
      let single = try GPTQ.quantize(weight, gram: gram, scheme: scheme, options: options).weight
      #expect(abs(try GPTQSample.loss(single, original, gram) - expected) <= 0.02 * expected)
    }
  }

  @Test("the length of a block changes nothing")
  func blocks() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    for (group, order) in [(32, GPTQOptions.Order.none), (8, .groups), (128, .activation)] {
      let scheme = try GPTQSample.scheme(3, group: group, clip: .meanSquare(steps: 20))
      let all = try [1, 7, 16, 48, 128].map { block in
        try GPTQ.quantize(
          weight, gram: gram, scheme: scheme,
          options: GPTQOptions(order: order, refit: false, block: block, precision: .double)
        ).weight.codes
      }
      #expect(all.allSatisfy { $0 == all[0] })
    }
  }

  @Test("the sum of squared errors over pivots is the damped weighted error")
  func lossIdentity() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let scheme = try GPTQSample.scheme(3)
    for order in GPTQOptions.Order.allCases {
      for precision in [GPTQOptions.Precision.single, .double] {
        let (found, report) = try GPTQ.quantize(
          weight, gram: gram, scheme: scheme,
          options: GPTQOptions(order: order, refit: false, precision: precision))
        let difference = WeightedError.subtract(found.decodedBase(), from: original)
        let undamped = try WeightedError.of(difference, gram: gram)
        let mean = (0..<gram.rows).reduce(0.0) { $0 + gram[$1, $1] } / Double(gram.rows)
        let squares = difference.values.reduce(0.0) { $0 + Double($1) * Double($1) }
        let damped = undamped + 0.01 * mean * squares
        let tolerance = precision == .double ? 1e-6 : 1e-3
        #expect(abs(report.dampedError - damped) <= tolerance * damped)
        #expect(abs(report.sweepError - undamped) <= 2 * tolerance * undamped)
      }
    }
  }

  @Test("it beats round-to-nearest, order beats none, the refit beats both")
  func quality() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    for (bits, bar) in [(4, 0.5), (3, 0.5), (2, 0.6)] {
      let scheme = try GPTQSample.scheme(bits)
      let nearest = try GPTQSample.loss(
        RoundToNearest.quantize(weight, scheme: scheme), original, gram)
      func loss(_ options: GPTQOptions) throws -> Double {
        try GPTQSample.loss(
          GPTQ.quantize(weight, gram: gram, scheme: scheme, options: options).weight, original,
          gram)
      }
      let plain = try loss(GPTQSample.plain)
      let ordered = try loss(GPTQOptions(order: .activation, refit: false))
      let refitted = try loss(GPTQOptions(order: .activation))
      #expect(plain < bar * nearest)
      #expect(ordered < plain)
      #expect(refitted < 0.97 * ordered)
    }
  }

  @Test("scaling the Gram matrix by a power of two changes nothing, workers change nothing")
  func invariances() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let scheme = try GPTQSample.scheme(3, clip: .meanSquare(steps: 20))
    let tall = Sample.normals(200, Sample.columns, seed: 9)
    let one = try GPTQ.quantize(.dense(tall), gram: gram, scheme: scheme)
    let scaled = Matrix(
      rows: gram.rows, columns: gram.columns, values: gram.values.map { $0 * 0x1p40 })
    let other = try GPTQ.quantize(.dense(tall), gram: scaled, scheme: scheme)
    #expect(one.weight.codes == other.weight.codes)
    #expect(one.weight.scaleBytes == other.weight.scaleBytes)
    let two = try GPTQ.quantize(
      .dense(tall), gram: gram, scheme: scheme, pool: WorkerPool(workers: 2))
    #expect(two.weight.codes == one.weight.codes)
    #expect(two.weight.scaleBytes == one.weight.scaleBytes)
    #expect(two.report == one.report)
  }

  @Test("masked entries stay zero and their loss is made good")
  func masks() throws {
    let gram = try GPTQSample.gram(width: Sample.columns)
    let mask = Mask(rows: Sample.rows, columns: Sample.columns) { ($0 + $1) % 4 != 0 }
    var masked = weight
    masked.mask = mask
    let scheme = try GPTQSample.scheme(4)
    let found = try GPTQ.quantize(masked, gram: gram, scheme: scheme).weight
    let target = mask.applied(to: original)
    let decoded = found.decodedBase()
    for row in 0..<Sample.rows {
      for column in 0..<Sample.columns where !mask.isKept(row, column) {
        #expect(decoded[row, column] == 0)
      }
    }
    let nearest = try RoundToNearest.quantize(masked, scheme: scheme)
    #expect(
      try GPTQSample.loss(found, target, gram)
        < 0.5 * GPTQSample.loss(nearest, target, gram))
    try found.validate()
  }
}
