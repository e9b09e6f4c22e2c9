import Foundation
import LinearAlgebra
import Tensors
import TestSupport

@testable import LowRank

/// The inputs and the figures of fixtures/low_rank/make_figures.py, rebuilt from its generator.
enum Oracle {
  /// The figures, by "section/label".
  static let figures: [String: Double] = {
    guard
      let data = FileManager.default.contents(atPath: SharedFiles.fixture("low_rank/figures.json")),
      let parsed = try? JSONSerialization.jsonObject(with: data) as? [String: Double]
    else { return [:] }
    return parsed
  }()

  /// Correlated tokens with a decaying spectrum and a few loud channels, as language models have.
  static func inputs(
    _ random: inout PortableRandom, _ tokens: Int, _ width: Int
  ) throws -> Matrix<Double> {
    let frame = try random.orthonormal(width, width)
    var x = random.normal(tokens, width)
    for row in 0..<tokens {
      for column in 0..<width { x[row, column] *= pow(Double(column + 1), -0.5) }
    }
    x = try x.multiplied(by: frame, transposeOther: true)
    for channel in 0..<3 {
      for row in 0..<tokens { x[row, (7 + 13 * channel) % width] *= 12 }
    }
    return x
  }

  static let nf4: [Double] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
  ]

  /// NF4 in blocks of 64 of the row-major values.
  static func quantizedNF4(_ w: Matrix<Double>) -> Matrix<Double> {
    var result = w
    let middles = zip(nf4.dropFirst(), nf4).map { ($0.0 + $0.1) / 2 }
    for start in stride(from: 0, to: w.values.count, by: 64) {
      let block = start..<start + 64
      let largest = w.values[block].map(abs).max() ?? 0
      for index in block {
        let z = largest > 0 ? w.values[index] / largest : 0
        result.values[index] = nf4[middles.firstIndex { $0 >= z } ?? 15] * largest
      }
    }
    return result
  }

  /// Asymmetric round to nearest in groups along the inputs.
  static func rounded(_ w: Matrix<Double>, bits: Int = 3, group: Int = 32) -> Matrix<Double> {
    var result = w
    let top = Double((1 << bits) - 1)
    for start in stride(from: 0, to: w.values.count, by: group) {
      let block = start..<start + group
      let low = min(w.values[block].min() ?? 0, 0)
      let high = max(w.values[block].max() ?? 0, 0)
      let scale = high > low ? (high - low) / top : 1
      let zero = (-low / scale).rounded(.toNearestOrEven)
      for index in block {
        let code = (w.values[index] / scale).rounded(.toNearestOrEven) + zero
        result.values[index] = (min(max(code, 0), top) - zero) * scale
      }
    }
    return result
  }

  /// The two smaller of every four inputs removed.
  static func pruned(_ w: Matrix<Double>) -> Matrix<Double> {
    var result = w
    for start in stride(from: 0, to: w.values.count, by: 4) {
      let order = (start..<start + 4).sorted {
        let (left, right) = (abs(w.values[$0]), abs(w.values[$1]))
        return left == right ? $0 < $1 : left < right
      }
      for index in order.prefix(2) { result.values[index] = 0 }
    }
    return result
  }

  /// ‖X·Dᵀ‖_F.
  static func outputError(_ difference: Matrix<Double>, _ x: Matrix<Double>) throws -> Double {
    try x.multiplied(by: difference, transposeOther: true).squaredNorm.squareRoot()
  }

  static func norm(_ matrix: Matrix<Double>) -> Double { matrix.squaredNorm.squareRoot() }

  /// ‖a − b‖_F/‖b‖_F.
  static func relative(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Double {
    norm(a.subtracting(b)) / max(norm(b), 1e-300)
  }

  static func nuclear(_ matrix: Matrix<Double>) throws -> Double {
    try SVD.exact(matrix).singularValues.reduce(0, +)
  }

  static func sum(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Matrix<Double> {
    Matrix(rows: a.rows, columns: a.columns, values: zip(a.values, b.values).map { $0 + $1 })
  }

  static func gram(_ x: Matrix<Double>) throws -> Matrix<Double> {
    try x.multiplied(by: x, transposeSelf: true)
  }

  /// Tail of a spectrum: √Σ_{i ≥ r} σ².
  static func tail(_ spectrum: [Double], from rank: Int) -> Double {
    spectrum[rank...].reduce(0) { $0 + $1 * $1 }.squareRoot()
  }
}

extension ThinFactors<Double> {
  var dense: Matrix<Double> { get throws { try product() } }
}
