import Foundation
import LinearAlgebra
import Tensors

/// The generator of the method pages' figures: SplitMix64 with Box–Muller.
///
/// Another language can rebuild the same matrices: 53-bit uniforms in (0, 1], each pair (u1, u2)
/// gives √(−2 ln u1)·cos 2πu2, then the sine; a matrix with an odd number of elements throws the
/// last sine away.
public struct PortableRandom {
  private var state: UInt64

  public init(_ seed: UInt64) { state = seed }

  public mutating func word() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  public mutating func uniform() -> Double { Double((word() >> 11) + 1) * 0x1p-53 }

  /// Standard normal numbers, row by row.
  public mutating func normal(_ rows: Int, _ columns: Int) -> Matrix<Double> {
    let count = rows * columns
    var values: [Double] = []
    values.reserveCapacity(count + 1)
    while values.count < count {
      let (u1, u2) = (uniform(), uniform())
      let radius = (-2 * log(u1)).squareRoot()
      values.append(radius * cos(2 * Double.pi * u2))
      values.append(radius * sin(2 * Double.pi * u2))
    }
    return Matrix(rows: rows, columns: columns, values: Array(values[..<count]))
  }

  /// A matrix with orthonormal columns: QR of normal numbers, R's diagonal positive.
  public mutating func orthonormal(_ rows: Int, _ columns: Int) throws -> Matrix<Double> {
    try QR.thin(normal(rows, columns)).q
  }

  /// A matrix with the spectrum (i + 1)^−0.7: a trained weight's rough shape.
  public mutating func weight(_ rows: Int, _ columns: Int) throws -> Matrix<Double> {
    let count = min(rows, columns)
    return try matrix(rows, columns, spectrum: (0..<count).map { pow(Double($0 + 1), -0.7) })
  }

  /// A matrix with given singular values.
  public mutating func matrix(
    _ rows: Int, _ columns: Int, spectrum: [Double]
  ) throws -> Matrix<Double> {
    var u = try orthonormal(rows, spectrum.count)
    let v = try orthonormal(columns, spectrum.count)
    for row in 0..<rows {
      for column in spectrum.indices { u[row, column] *= spectrum[column] }
    }
    return try u.multiplied(by: v, transposeOther: true)
  }
}
