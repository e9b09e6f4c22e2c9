import Tensors

@testable import Weights

/// Weights with every combination of parts.
enum WeightFixture {
  static let rows = 48
  static let columns = 96

  static func integer(
    _ bits: Int, symmetric: Bool = true, _ granularity: Granularity = .group(32), seed: UInt64 = 1
  ) throws -> Base {
    .integer(
      try IntegerBase.roundToNearest(
        Sample.matrix(rows, columns, seed: seed),
        scheme: try IntegerScheme(
          bits: bits, symmetric: symmetric, granularity: granularity, clip: .none)))
  }

  static var mask: Mask { Mask(rows: rows, columns: columns) { ($0 * 7 + $1 * 3) % 5 != 0 } }

  static var outliers: Outliers {
    Outliers(columns: [0, 17, 95], values: Sample.matrix(rows, 3, seed: 5), as: .f16)
  }

  static var path: LowRankPath {
    LowRankPath(
      b: .dense(Sample.matrix(rows, 4, seed: 6), as: .bf16),
      a: .dense(Sample.matrix(4, columns, seed: 7), as: .f16),
      sigma: Tensor(dtype: .f32, shape: [4], array: [2, 1, 0.5, 0.25] as [Float]), scale: 0.5)
  }

  static var site: Site {
    let scale = (0..<columns).map { 0.5 + Float($0 % 7) * 0.25 }
    let order = (0..<columns).map { Int32(($0 * 37 + 11) % columns) }
    return Site(transforms: [
      .scale(Tensor(dtype: .f32, shape: [columns], array: scale)),
      .permutation(Tensor(dtype: .i32, shape: [columns], array: order)),
    ])
  }

  /// Every subset of the parts over several bases.
  static func all() throws -> [CompressedWeight] {
    let bases: [Base?] = [
      nil, .dense(Sample.matrix(rows, columns)), .dense(Sample.matrix(rows, columns), as: .bf16),
      try integer(4), try integer(3, symmetric: false), try integer(8, .channel),
      try integer(2, symmetric: false, .tensor),
    ]
    var result: [CompressedWeight] = []
    for base in bases {
      for subset in 0..<16 {
        let paths = subset & 1 != 0 ? [path, path] : []
        if base == nil, paths.isEmpty { continue }
        result.append(
          CompressedWeight(
            view: WeightView(rows: rows, columns: columns), base: base,
            mask: subset & 2 != 0 ? mask : nil, outliers: subset & 4 != 0 ? outliers : nil,
            lowRank: paths, site: subset & 8 != 0 ? site : nil))
      }
    }
    return result
  }
}
