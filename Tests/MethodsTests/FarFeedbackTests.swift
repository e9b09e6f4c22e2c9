import Kernels
import LinearAlgebra
import Tensors
import Testing

@testable import Quantization
@testable import Weights

/// (1) The codes are f32's but for near ties, the error its own; (2) the report is true; (3) workers
/// change nothing; (4) masks, weak columns and spans of any length.
@Suite("What columns leave for other spans")
struct FarFeedbackTests {
  static let width = 1152
  static let hasProducts = pith_fixed_products_available() != 0

  private func gram() throws -> Matrix<Double> {
    try GPTQSample.gram(width: Self.width, rows: 1500)
  }

  /// Runs a body where the processor lacks the products.
  private func without<Result>(_ body: () throws -> Result) rethrows -> Result {
    _ = pith_kernel_target_for_this_thread(0)
    defer { _ = pith_kernel_target_for_this_thread(-1) }
    return try body()
  }

  @Test(
    "as good as in f32, and nearly the same codes",
    .enabled(if: hasProducts, "no AVX512_VNNI"),
    arguments: [
      (GPTQOptions.Order.none, 4, 128, 0), (.activation, 3, 64, 0), (.activation, 4, 96, 12),
      (.groups, 2, 128, 0),
    ])
  func same(_ order: GPTQOptions.Order, _ bits: Int, _ group: Int, _ weak: Int) throws {
    let gram = try gram()
    let original = Sample.normals(65, Self.width, seed: 11)
    let scheme = try GPTQSample.scheme(bits, group: group)
    var options = GPTQOptions(order: order, refit: false)
    options.weakColumns = weak
    for damping in [0.01, 0.001] {
      options.damping = damping
      func quantized(_ pool: WorkerPool = .serial) throws -> (CompressedWeight, GPTQReport) {
        try GPTQ.quantize(
          .dense(original), gram: gram, scheme: scheme, options: options, pool: pool)
      }
      let (found, report) = try quantized()
      let (plain, _) = try without { try quantized() }
      let error = try GPTQSample.loss(found, original, gram)
      let expected = try GPTQSample.loss(plain, original, gram)
      #expect(abs(error - expected) <= 3e-3 * expected)
      let pairs = zip(found.codeRows.joined(), plain.codeRows.joined())
      let different = pairs.lazy.filter { $0 != $1 }.count
      // It goes another way than f32, and hardly ever to another code at once.
      #expect(different < 65 * Self.width / 20)
      let whole = try WeightedError.of(
        WeightedError.subtract(found.decodedBase(), from: original), gram: gram)
      if weak == 0 { #expect(abs(report.sweepError - whole) <= 2e-5 * whole) }
      let (shared, sharedReport) = try quantized(WorkerPool(workers: 2))
      #expect(shared.codes == found.codes && sharedReport == report)
      #expect(shared.scaleBytes == found.scaleBytes)
    }
  }

  @Test("masked entries stay zero, what they lose is made good from far as well")
  func masked() throws {
    let gram = try gram()
    let original = Sample.normals(40, Self.width, seed: 12)
    let mask = Mask(rows: 40, columns: Self.width) { ($0 * 5 + $1 * 3) % 4 != 0 }
    var weight = CompressedWeight.dense(original)
    weight.mask = mask
    let scheme = try GPTQSample.scheme(4, group: 128)
    let (found, report) = try GPTQ.quantize(
      weight, gram: gram, scheme: scheme, options: GPTQSample.plain)
    let (plain, _) = try without {
      try GPTQ.quantize(weight, gram: gram, scheme: scheme, options: GPTQSample.plain)
    }
    let values = found.decodedBase()
    for row in 0..<40 {
      for column in 0..<Self.width where !mask.isKept(row, column) {
        #expect(values[row, column] == 0)
      }
    }
    let error = try GPTQSample.loss(found, original, gram)
    let nearest = try RoundToNearest.quantize(weight, scheme: scheme)
    #expect(error < (try GPTQSample.loss(nearest, original, gram)))
    let expected = try GPTQSample.loss(plain, original, gram)
    #expect(abs(error - expected) <= 3e-3 * expected)
    #expect(report.sweepError > 0)
  }
}
