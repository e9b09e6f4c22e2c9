import Kernels
import Tensors
import Testing

/// Fast kernels against their plain f64 twins, tails of every length included.
@Suite struct KernelTests {
  private func random(_ count: Int, tensor: UInt32 = 0, scale: Float = 1) -> [Float] {
    Philox(seed: 6).normals(count: count, tensor: tensor, purpose: .perturbation).map { $0 * scale }
  }

  private func worst(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).map { abs($0 - $1) / max(abs($1), 1e-2) }.max() ?? 0
  }

  @Test(arguments: [1, 15, 16, 17, 40, 256, 1000]) func norms(_ width: Int) {
    let x = random(3 * width).map { $0 + 0.5 }
    let (weight, bias) = (random(width, tensor: 1), random(width, tensor: 2))
    var (a, b) = (x, x)
    pith_rms_norm(x, weight, &a, 3, width, 1e-5)
    pith_rms_norm_reference(x, weight, &b, 3, width, 1e-5)
    #expect(worst(a, b) < 2e-6)
    pith_layer_norm(x, weight, bias, &a, 3, width, 1e-5)
    pith_layer_norm_reference(x, weight, bias, &b, 3, width, 1e-5)
    // A single column has no variance: its mean's rounding is all that is left.
    #expect(worst(a, b) < (width == 1 ? 1e-3 : 1e-4))
  }

  @Test(arguments: [PITH_SILU, PITH_GELU, PITH_GELU_TANH, PITH_RELU, PITH_TANH])
  func activations(_ kind: Int) {
    let x = stride(from: Float(-30), through: 30, by: 0.0137).map { $0 } + [0, -0.0, 1e-30, -1e-20]
    var (a, b) = (x, x)
    pith_activate(Int32(kind), &a, x.count)
    pith_activate_reference(Int32(kind), &b, x.count)
    let error = zip(a, b).map { abs($0 - $1) / max(abs($1), 1e-3) }.max() ?? 0
    #expect(error < 4e-6)
    let up = random(x.count)
    var (c, d) = (x, x)
    pith_activate_gated(Int32(kind), &c, up, x.count)
    pith_activate_gated_reference(Int32(kind), &d, up, x.count)
    #expect(zip(c, d).allSatisfy { abs($0 - $1) <= 4e-6 * max(abs($1), 1e-2) })
  }

  @Test(arguments: [(1, 0, 0), (1, 5, 0), (1, 9, 4), (0, 0, 0)], [1, 16, 23, 64])
  func softmax(_ mask: (causal: Int32, offset: Int, window: Int), _ columns: Int) {
    let rows = 7
    let scores = random(rows * columns, scale: 20)
    var (a, b) = (scores, scores)
    pith_masked_softmax(&a, rows, columns, columns, mask.causal, mask.offset, mask.window, 0.3)
    pith_masked_softmax_reference(
      &b, rows, columns, columns, mask.causal, mask.offset, mask.window, 0.3)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-6 && ($1 > 0 || $0 == 0) })
  }

  @Test func exponentialsAreExactToTheirLastDigits() {
    // Σ exp of one number is its exponential.
    var worst = 0.0
    for x in stride(from: Float(-87), through: 88, by: 0.0731) {
      var value = x
      let fast = pith_sum_exp(&value, 1, 0)
      worst = max(worst, abs(fast / pith_sum_exp_reference(&value, 1, 0) - 1))
    }
    #expect(worst < 1.5e-7)
    var nan = Float.nan
    #expect(pith_sum_exp(&nan, 1, 0).isNaN)
    var low = -Float.infinity
    #expect(pith_sum_exp(&low, 1, 0) == 0)
  }

  @Test func rotaryAndLargest() {
    let (rows, heads, dimension) = (3, 2, 6)
    let x = random(rows * heads * dimension)
    let (cosines, sines) = (random(12, tensor: 3), random(12, tensor: 4))
    let position: [Int32] = [0, 3, 1]
    var (a, b) = (x, x)
    pith_rotary(&a, rows, heads, dimension, position, cosines, sines)
    pith_rotary_reference(&b, rows, heads, dimension, position, cosines, sines)
    #expect(worst(a, b) < 1e-5)
    var index = 0
    for count in [1, 16, 33] {
      var values = random(count, tensor: 9)
      values[count - 1] = 50
      #expect(pith_largest(values, count, &index) == 50)
      #expect(index == count - 1)
    }
    #expect(pith_largest([2, 7, 7], 3, &index) == 7)
    #expect(index == 1)
  }

  @Test(arguments: [(1, 0, 0), (1, 3, 0), (1, 3, 9), (0, 0, 0)], [16, 32, 48])
  func attention(_ mask: (causal: Int32, offset: Int, window: Int), _ dimension: Int) {
    let queries = 45
    let keys = mask.offset + queries
    let stride = (keys + 31) / 32 * 32
    let (query, key) = (random(queries * dimension), random(keys * dimension, tensor: 1))
    let value = random(keys * dimension, tensor: 2)
    var transposed = [Float](repeating: .nan, count: dimension * stride)
    pith_transpose_keys(key, dimension, keys, dimension, &transposed, stride)
    #expect(transposed[2 * stride + 5] == key[5 * dimension + 2])
    var scratch = [Float](repeating: .nan, count: 8 * stride)
    var a = [Float](repeating: .nan, count: query.count)
    var b = a
    pith_attention(
      query, dimension, transposed, stride, value, dimension, &a, dimension, queries, keys,
      dimension, mask.causal, mask.offset, mask.window, 0.5, &scratch)
    pith_attention_reference(
      query, dimension, transposed, stride, value, dimension, &b, dimension, queries, keys,
      dimension, mask.causal, mask.offset, mask.window, 0.5, &scratch)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-5 })
  }
}
