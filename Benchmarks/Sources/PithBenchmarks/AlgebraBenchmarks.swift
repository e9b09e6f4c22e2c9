import Foundation
import Pith

/// What the BLAS gives on this machine.
enum AlgebraBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    show("numeric path", NumericFingerprint.current.text)
    let order = 2048
    let values = Philox(seed: 2).normals(count: order * order, purpose: .sketch)
    let matrix = Matrix(rows: order, columns: order, values: values)
    for workers in [1, ProcessInfo.processInfo.activeProcessorCount] {
      let pool = WorkerPool(workers: workers)
      let seconds = try Timing.median { _ = try matrix.multiplied(by: matrix, pool: pool) }
      let rate = 2 * Double(order * order * order) / seconds * 1e-9
      show("sgemm \(order), \(workers) workers", "\(Format.fixed(rate, 0)) GFLOP/s")
    }
    let half = Matrix(rows: 768, columns: 768, values: Array(values.prefix(768 * 768)))
    let exact = try Timing.median(of: 3) { _ = try SVD.exact(half) }
    show("SVD of 768 × 768, one core", Format.duration(exact))
  }
}
