import Foundation
import Tensors
import TestSupport
import Testing

@testable import LinearAlgebra

@Suite("Hostile input")
struct HostileInputTests {
  @Test(
    "A NaN or an infinity is found with its place", arguments: [Float.nan, .infinity, -.infinity])
  func nonFinite(_ value: Float) throws {
    var matrix = Matrix<Float>(rows: 40, columns: 50, repeating: 1)
    matrix[27, 13] = value
    matrix[30, 0] = .nan
    #expect {
      try SVD.exact(matrix)
    } throws: {
      if case .notFinite("SVD.exact", 27, 13, _)? = $0 as? LinearAlgebraError {
        true
      } else {
        false
      }
    }
    #expect(throws: LinearAlgebraError.self) { try SVD.randomized(matrix, rank: 2, seed: 1) }
    #expect(throws: LinearAlgebraError.self) { try QR.thin(matrix) }
    for position in [0, 1, 511, 512, 1023, 1024] {
      var values = [Float](repeating: .greatestFiniteMagnitude, count: 1025)
      #expect(Finiteness.firstNonFinite(values) == nil)
      values[position] = value
      #expect(Finiteness.firstNonFinite(values) == position)
    }
  }

  @Test("Zero, rank-deficient and equal singular values")
  func degenerate() throws {
    let zero = try SVD.exact(Matrix<Double>(rows: 7, columns: 5, repeating: 0))
    #expect(zero.singularValues == [0, 0, 0, 0, 0])
    #expect(try columnDefect(zero.u) < 1e-12)

    let ones = try SVD.exact(Matrix<Double>(rows: 6, columns: 8, repeating: 1))
    #expect(abs(ones.singularValues[0] - 48.0.squareRoot()) < 1e-13)
    #expect(ones.singularValues[1...].allSatisfy { $0 < 1e-14 })

    let identity = try SVD.exact(Matrix<Float>.identity(9))
    #expect(identity.singularValues.allSatisfy { abs($0 - 1) < 1e-6 })
    #expect(try distance(identity.product(), .identity(9)) < 1e-5)
  }

  @Test("Condition 1e14: small values keep their absolute accuracy")
  func illConditioned() throws {
    var random = PortableRandom(14)
    let spectrum = (0..<30).map { pow(10, -14 * Double($0) / 29) }
    let matrix = try random.matrix(60, 30, spectrum: spectrum)
    let result = try SVD.exact(matrix)
    for (found, expected) in zip(result.singularValues, spectrum) {
      #expect(abs(found - expected) < 1e-15 * 20)
    }
    #expect(try columnDefect(result.u) < 1e-12)
  }

  @Test("Numbers near the ends of the range")
  func extremes() throws {
    for scale in [Float(1e-30), 1e30] {
      let matrix = Matrix<Float>(rows: 2, columns: 2, values: [3 * scale, 0, 0, -4 * scale])
      let result = try SVD.exact(matrix)
      #expect(abs(result.singularValues[0] / scale - 4) < 1e-5)
      #expect(abs(result.singularValues[1] / scale - 3) < 1e-5)
      #expect(result.u.values == [0, 1, 1, 0])
    }
  }

  @Test("No rows or no columns is an error")
  func empty() {
    #expect(throws: LinearAlgebraError.empty(routine: "QR.thin", rows: 0, columns: 3)) {
      try QR.thin(Matrix<Float>(rows: 0, columns: 3, values: []))
    }
    #expect(throws: LinearAlgebraError.self) {
      try SVD.exact(Matrix<Float>(rows: 3, columns: 0, values: []))
    }
    #expect(throws: LinearAlgebraError.self) {
      try Cholesky.factor(Matrix<Float>(rows: 0, columns: 0, values: []))
    }
  }

  @Test("The fallback driver agrees with the first one")
  func fallback() throws {
    var random = PortableRandom(15)
    for (rows, columns) in [(30, 50), (50, 30), (1, 4)] {
      let matrix = random.normal(rows, columns)
      let first = try SVD.thin(matrix, driver: .divideAndConquer)
      let second = try SVD.thin(matrix, driver: .qrIteration)
      #expect(second.driver == .qrIteration)
      for (a, b) in zip(first.singularValues, second.singularValues) { #expect(abs(a - b) < 1e-12) }
      #expect(
        try distance(first.u.multiplied(by: first.vt), second.u.multiplied(by: second.vt)) < 1e-10)
    }
  }

  @Test("A workspace answer in f32 is rounded up, and 2³¹ is too much")
  func workspace() throws {
    #expect(try Workspace.count(Float(100), "x", rows: 1, columns: 1) == 100)
    let large: Float = 0x1p24 + 2
    #expect(try Workspace.count(large, "x", rows: 1, columns: 1) >= 16_777_219)
    #expect(try Workspace.count(0.0, "x", rows: 1, columns: 1) == 1)
    #expect(throws: LinearAlgebraError.tooLarge(routine: "x", rows: 5, columns: 6)) {
      try Workspace.count(Float(0x1p31), "x", rows: 5, columns: 6)
    }
  }

  @Test("Every error is a sentence with its routine")
  func sentences() {
    let errors: [LinearAlgebraError] = [
      .notFinite(routine: "R", row: 1, column: 2, value: "nan"),
      .empty(routine: "R", rows: 0, columns: 1), .notSquare(routine: "R", rows: 2, columns: 1),
      .sizesDisagree(routine: "R", left: "1 × 2", right: "3 × 4"),
      .rankOutOfRange(routine: "R", rank: 9, rows: 3, columns: 4),
      .parameterOutOfRange(routine: "R", name: "p", value: "-1", allowed: "0 or more"),
      .tooLarge(routine: "R", rows: 1, columns: 2),
      .notConverged(routine: "R", rows: 1, columns: 2, info: 3),
      .notPositiveDefinite(routine: "R", order: 3, dampings: [0.01, 0.1], failedAt: 2),
      .singular(routine: "R", order: 3, index: 1), .notPowerOfTwo(routine: "R", size: 6),
      .illegalArgument(routine: "R", info: -4),
    ]
    for error in errors { #expect("\(error)".hasPrefix("R: ")) }
    #expect("\(errors[4])".contains("from 1 to 3"))
    #expect("\(errors[8])".contains("0.01, 0.1"))
  }
}
