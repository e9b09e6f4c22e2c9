import Kernels
import LinearAlgebra

/// A precision that the sweep runs in: f32 by SIMD kernels, f64 by the plain loops.
protocol SweepScalar: BLASScalar {
  /// 1.5 · 2^m with m bits of significand: adding and taking it away rounds half to even.
  static var rounder: Self { get }
  /// A whole number from 0 to 255 as a byte.
  static func byte(_ value: Self) -> UInt8
  /// - Parameter residuals: where (w' − q)·R_jj goes; may be the targets' own place.
  static func sweep(
    _ run: ColumnRun<Self>, factor: UnsafePointer<Self>, sums: UnsafePointer<Self>?,
    differences: UnsafeMutablePointer<Self>, residuals: UnsafeMutablePointer<Self>?,
    rowLoss: UnsafeMutablePointer<Self>?
  ) -> (loss: Double, squaredError: Double)
}

extension Float: SweepScalar {
  static var rounder: Float { 0x1.8p23 }
  @inline(__always) static func byte(_ value: Float) -> UInt8 {
    UInt8(truncatingIfNeeded: (value + rounder).bitPattern)
  }

  static func sweep(
    _ run: ColumnRun<Float>, factor: UnsafePointer<Float>, sums: UnsafePointer<Float>?,
    differences: UnsafeMutablePointer<Float>, residuals: UnsafeMutablePointer<Float>?,
    rowLoss: UnsafeMutablePointer<Float>?
  ) -> (loss: Double, squaredError: Double) {
    var columns = PithColumns(run)
    let found = pith_sweep_integer(
      &columns, factor, sums, differences, residuals, rowLoss)
    return (found.loss, found.squared_error)
  }
}

extension Double: SweepScalar {
  static var rounder: Double { 0x1.8p52 }
  @inline(__always) static func byte(_ value: Double) -> UInt8 {
    UInt8(truncatingIfNeeded: (value + rounder).bitPattern)
  }

  static func sweep(
    _ run: ColumnRun<Double>, factor: UnsafePointer<Double>, sums: UnsafePointer<Double>?,
    differences: UnsafeMutablePointer<Double>, residuals: UnsafeMutablePointer<Double>?,
    rowLoss: UnsafeMutablePointer<Double>?
  ) -> (loss: Double, squaredError: Double) {
    run.sweepPlainly(
      factor: factor, sums: sums, differences: differences, residuals: residuals, rowLoss: rowLoss)
  }
}

extension PithColumns {
  /// The columns as the kernels take them.
  init(_ run: ColumnRun<Float>) {
    self.init(
      count: run.count, stride: run.stride, top: Int32(run.top), targets: run.targets,
      code_index: run.codeIndex, grid_index: run.gridIndex, codes: run.codes, scales: run.scales,
      zeros: run.zeros, kept: run.kept)
  }
}
