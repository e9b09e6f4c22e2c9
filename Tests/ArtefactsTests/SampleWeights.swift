import Tensors

@testable import Weights

/// Weights with every combination of parts.
enum SampleWeights {
  static let rows = 24
  static let columns = 96

  static func matrix(_ rows: Int, _ columns: Int, _ seed: UInt64) -> Matrix<Float> {
    Matrix(
      rows: rows, columns: columns,
      values: Philox(seed: seed).normals(count: rows * columns, purpose: .sampling))
  }

  static func integer(
    _ bits: Int, symmetric: Bool = true, _ granularity: Granularity = .group(32),
    scaleType: DType = .f16
  ) throws -> Base {
    .integer(
      try IntegerBase.roundToNearest(
        matrix(rows, columns, 1),
        scheme: IntegerScheme(
          bits: bits, symmetric: symmetric, granularity: granularity, scaleType: scaleType,
          clip: .none)))
  }

  static var path: LowRankPath {
    LowRankPath(
      b: .dense(matrix(rows, 4, 6), as: .bf16), a: .dense(matrix(4, columns, 7), as: .f16),
      sigma: Tensor(dtype: .f32, shape: [4], array: [2, 1, 0.5, 0.25] as [Float]), scale: 0.1)
  }

  static var site: Site {
    Site(
      transforms: [
        .scale(
          Tensor(
            dtype: .f32, shape: [columns], array: (0..<columns).map { 0.5 + Float($0 % 7) * 0.25 })),
        .permutation(
          Tensor(
            dtype: .i32, shape: [columns],
            array: (0..<columns).map { Int32(($0 * 37 + 11) % columns) })),
      ], activations: .nvfp4)
  }

  /// Every subset of the parts over several bases, one of them in another layout.
  static func all() throws -> [(name: String, weight: CompressedWeight)] {
    let bases: [(String, Base?)] = [
      ("none", nil), ("f32", .dense(matrix(rows, columns, 1))),
      ("bf16", .dense(matrix(rows, columns, 1), as: .bf16)), ("int4", try integer(4)),
      ("int3asym", try integer(3, symmetric: false)),
      ("int8channel", try integer(8, .channel, scaleType: .bf16)),
      ("int2tensor", try integer(2, symmetric: false, .tensor, scaleType: .f32)),
    ]
    var result: [(String, CompressedWeight)] = []
    for (name, base) in bases {
      for subset in 0..<16 {
        let paths = subset & 1 != 0 ? [path, path] : []
        if base == nil, paths.isEmpty { continue }
        let view =
          subset & 8 == 0
          ? WeightView(rows: rows, columns: columns)
          : WeightView(sourceShape: [4, columns / 4, rows], layout: .outputsLast)
        result.append(
          (
            "\(name).\(subset)",
            CompressedWeight(
              view: view, base: base,
              mask: subset & 2 != 0
                ? Mask(rows: rows, columns: columns) { ($0 * 7 + $1 * 3) % 5 != 0 } : nil,
              outliers: subset & 4 != 0
                ? Outliers(columns: [0, 17, 95], values: matrix(rows, 3, 5), as: .f16) : nil,
              lowRank: paths, site: subset & 8 != 0 ? site : nil)
          ))
      }
    }
    return result
  }
}
