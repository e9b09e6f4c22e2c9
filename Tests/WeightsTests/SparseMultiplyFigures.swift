import Foundation
import LinearAlgebra
import Tensors
import Testing

@testable import Weights

/// What going through survivors alone is worth (docs/performance.md), in processor time.
///
/// Runs only on request: PITH_BENCH=1 swift test -c release --filter SparseMultiplyFigures.
@Suite(
  "Sparse multiplication, figures",
  .enabled(if: ProcessInfo.processInfo.environment["PITH_BENCH"] != nil, "no PITH_BENCH"))
struct SparseMultiplyFigures {
  private func seconds(_ repeats: Int, _ body: () -> Void) -> Double {
    body()
    var best = Double.infinity
    for _ in 0..<5 {
      let start = clock()
      for _ in 0..<repeats { body() }
      best = min(best, Double(clock() - start) / Double(CLOCKS_PER_SEC) / Double(repeats))
    }
    return best
  }

  @Test func figures() throws {
    // Larger than the caches, as the weights of a model that decodes are.
    let (rows, columns) = (4096, 4096)
    let matrix = Sample.matrix(rows, columns)
    let draws = Sample.matrix(rows, columns, seed: 9)
    let sorted = draws.values.prefix(1 << 20).sorted()
    let inputs = Sample.matrix(16, columns, seed: 3)
    let scheme = try IntegerScheme(
      bits: 4, symmetric: false, granularity: .group(128), clip: .none)
    let integer = Base.integer(try .roundToNearest(matrix, scheme: scheme))
    func weight(_ base: Base, _ mask: Mask?) -> CompressedWeight {
      CompressedWeight(view: WeightView(rows: rows, columns: columns), base: base, mask: mask)
        .packed()
    }
    func random(_ share: Double) -> Mask {
      let limit = sorted[Int(share * Double(sorted.count - 1))]
      return Mask(rows: rows, columns: columns) { draws[$0, $1] > limit }
    }
    let pattern = Mask(rows: rows, columns: columns) { row, column in
      (column + row * 3 + column / 4) % 4 < 2
    }
    var forms: [(String, CompressedWeight)] = [
      ("f32", weight(.dense(matrix, as: .f32), nil)), ("int4", weight(integer, nil)),
      ("f32 2:4", weight(.dense(matrix, as: .f32), pattern)),
      ("int4 2:4", weight(integer, pattern)),
    ]
    for share in [0.5, 0.7, 0.9, 0.95] {
      forms.append(("f32 \(share)", weight(.dense(matrix, as: .f32), random(share))))
      forms.append(("int4 \(share)", weight(integer, random(share))))
    }
    var result = [Float](repeating: 0, count: 16 * rows)
    for count in [1, 2, 4, 8, 16] {
      let gemm = seconds(2) {
        inputs.values.withUnsafeBufferPointer { x in
          result.withUnsafeMutableBufferPointer { y in
            matrix.values.withUnsafeBufferPointer { w in
              guard let x = x.baseAddress, let y = y.baseAddress, let w = w.baseAddress else {
                return
              }
              if count <= 4 {
                for row in 0..<count {
                  BLAS.gemv(
                    m: rows, n: columns, alpha: 1, a: w, lda: columns, transposeA: false,
                    x: x + row * columns, beta: 0, y: y + row * rows)
                }
              } else {
                BLAS.gemm(
                  m: count, n: rows, k: columns, alpha: 1, a: x, lda: columns, transposeA: false,
                  b: w, ldb: columns, transposeB: true, beta: 0, c: y, ldc: rows)
              }
            }
          }
        }
      }
      var line = "rows \(count)  BLAS \(Int(gemm * 1e6))"
      for (name, weight) in forms {
        let taken = seconds(2) {
          inputs.values.withUnsafeBufferPointer { x in
            result.withUnsafeMutableBufferPointer { y in
              guard let x = x.baseAddress, let y = y.baseAddress else { return }
              weight.multiply(x, rows: count, into: y)
            }
          }
        }
        line += "  \(name) \(Int(taken * 1e6))"
        if case .sparse(let sparse)? = weight.base {
          let fused = seconds(2) {
            inputs.values.withUnsafeBufferPointer { x in
              result.withUnsafeMutableBufferPointer { y in
                guard let x = x.baseAddress, let y = y.baseAddress else { return }
                sparse.multiply(x, rows: count, outputs: 0..<rows, into: y, stride: rows)
              }
            }
          }
          line += " (survivors alone \(Int(fused * 1e6)))"
        }
      }
      print(line + " µs")
    }
  }
}
