import Kernels
import Tensors
import Testing

@testable import Quantization
@testable import Weights

/// (1) The kernel's solution is its twin's, row by row, on every instruction set; (2) rows without a
/// solution, and groups without a say, keep their scales; (3) refitted in bytes, a weight is as good as in
/// f32, and its report as true.
@Suite("The refit's solution")
struct RefitSolutionTests {
  private let lanes = Int(PITH_SWEEP_LANES)

  @Test("it is the twin's", arguments: [(1, DType.f32), (5, .f16), (32, .f16), (33, .bf16)])
  func twin(_ groups: Int, _ type: DType) throws {
    let grid = try IntegerScheme(
      bits: 4, granularity: .group(16), scaleType: type
    ).grid
    let padded = pith_refit_padded(groups)
    var left = [Float](repeating: .nan, count: padded * padded * lanes)
    var right = [Float](repeating: .nan, count: padded * lanes)
    var old = [Float](repeating: 1, count: groups * (lanes + 3))
    var systems = Array(repeating: ScaleSystem(groups: groups), count: lanes)
    for lane in 0..<lanes {
      let root = Sample.normals(groups, groups + 4, seed: UInt64(lane))
      let noise = Sample.normals(2, groups, seed: UInt64(lane + 100))
      for group in 0..<groups {
        // One row without a solution, and groups whose codes are all zero.
        let isIdle = lane == 4 && group % 3 == 0
        right[group * lanes + lane] = isIdle ? 0 : noise[0, group]
        old[group * (lanes + 3) + lane] = grid.stored(scale: 0.1 + 0.01 * abs(noise[1, group]))
        for other in group..<groups {
          var sum = (0..<groups + 4).reduce(Float(0)) { $0 + root[group, $1] * root[other, $1] }
          if lane == 5 { sum = -sum }
          if lane == 4 && (isIdle || other % 3 == 0) { sum = 0 }
          left[(group * padded + other) * lanes + lane] = sum
          systems[lane].left[group * groups + other] = Double(sum)
          systems[lane].left[other * groups + group] = Double(sum)
        }
        systems[lane].right[group] = Double(right[group * lanes + lane])
      }
    }
    let expected = systems.enumerated().map { lane, system in
      system.solved(
        from: (0..<groups).map { old[$0 * (lanes + 3) + lane] },
        rounding: { grid.stored(scale: $0) })
    }
    defer { _ = pith_kernel_target_for_this_thread(-1) }
    for target in 0..<pith_kernel_target_count()
    where pith_kernel_target_for_this_thread(target) == 0 {
      var scratch = [Double](repeating: .nan, count: pith_refit_solve_scratch(groups))
      var scales = [Float](repeating: .nan, count: groups * lanes)
      var changes = [Double](repeating: .nan, count: lanes)
      left.withUnsafeBufferPointer { left in
        right.withUnsafeBufferPointer { right in
          old.withUnsafeBufferPointer { old in
            var from = PithRefitSystems(
              groups: groups, left: left.baseAddress, right: right.baseAddress,
              scales: old.baseAddress, stride: lanes + 3, scale_type: type.kernelScaleType,
              bits: 4)
            pith_refit_solve(&from, &scratch, &scales, &changes)
          }
        }
      }
      for (lane, row) in expected.enumerated() {
        let own = Array(scales[lane * groups..<(lane + 1) * groups])
        #expect(abs(changes[lane] - row.change) <= 1e-6 * abs(row.change), "\(target) \(lane)")
        for (one, other) in zip(own, row.scales) {
          #expect(abs(one - other) <= (type == .f32 ? 1e-4 : 0) * other, "\(target) \(lane)")
        }
      }
      #expect(changes[5] == 0 && changes[8...].min() ?? 0 < 0)
    }
  }

  @Test("bytes are as good as f32 where a factor is wide, and reported as truly")
  func bytes() throws {
    let width = 1024
    let gram = try GPTQSample.gram(width: width, rows: 1536)
    let original = Sample.normals(96, width, seed: 11)
    let scheme = try GPTQSample.scheme(4, group: 128, clip: .meanSquare())
    let swept = try GPTQ.quantize(
      .dense(original), gram: gram, scheme: scheme, options: GPTQOptions(refit: false))
    let apart = try ScaleRefit.refit(swept.weight, target: original, gram: gram)
    let found = try GPTQ.quantize(.dense(original), gram: gram, scheme: scheme)
    #expect(found.weight.codes == swept.weight.codes)
    func error(_ weight: CompressedWeight) throws -> Double {
      try WeightedError.of(
        WeightedError.subtract(weight.decodedBase(), from: original), gram: gram)
    }
    let report = try #require(found.report.refit)
    let (after, plain, before) = (
      try error(found.weight), try error(apart.weight), try error(swept.weight)
    )
    // It has power: what is gained is more than fifty times what the two may differ by.
    #expect(after < 0.995 * before)
    #expect(abs(after - plain) <= 1e-4 * plain)
    #expect(abs(report.after - after) <= 1e-3 * after)
  }
}
