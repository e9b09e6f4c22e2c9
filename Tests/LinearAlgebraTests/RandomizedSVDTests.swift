import LinearAlgebra
import Tensors
import TestSupport
import Testing

@Suite("Randomized singular values")
struct RandomizedSVDTests {
  /// How much of the optimum's residual is added, relative.
  private func excess(
    _ matrix: Matrix<Double>, oversample: Int, iterations: Int, seed: UInt64
  ) throws -> Double {
    let best = try distance(matrix, SVD.exact(matrix, rank: 16).product())
    let found = try SVD.randomized(
      matrix, rank: 16, oversample: oversample, iterations: iterations, seed: seed)
    #expect(found.rank == 16 && found.driver == .randomized)
    #expect(try columnDefect(found.u) < 1e-12)
    #expect(try rowDefect(found.vt) < 1e-12)
    return try distance(matrix, found.product()) / best - 1
  }

  @Test("Iterations and oversampling reach the optimum, their lack misses it")
  func power() throws {
    var random = PortableRandom(1)
    let weight = try random.weight(96, 160)
    for matrix in [weight, weight.transposed] {
      for seed in [UInt64(1), 2, 3] {
        let plain = try excess(matrix, oversample: 0, iterations: 0, seed: seed)
        let oversampled = try excess(matrix, oversample: 10, iterations: 0, seed: seed)
        let two = try excess(matrix, oversample: 0, iterations: 2, seed: seed)
        let full = try excess(matrix, oversample: 10, iterations: 4, seed: seed)
        #expect(plain > 0.2)
        #expect(oversampled > 0.1 && oversampled < plain)
        #expect(two > 1e-3 && two < 0.1)
        #expect(full < 2e-4 && full > -1e-12)
      }
    }
  }

  @Test("A matrix of rank r comes back exactly without iterations")
  func exactRecovery() throws {
    var random = PortableRandom(11)
    let matrix = try random.matrix(70, 50, spectrum: [9, 5, 3, 3, 1])
    for input in [matrix, matrix.transposed] {
      let result = try SVD.randomized(input, rank: 5, oversample: 0, iterations: 0, seed: 7)
      #expect(try distance(result.product(), input) < 1e-12)
      for (found, expected) in zip(result.singularValues, [9.0, 5, 3, 3, 1]) {
        #expect(abs(found - expected) < 1e-12)
      }
    }
  }

  @Test("Full width agrees with the exact decomposition, compared through U·Vᵀ")
  func fullWidth() throws {
    var random = PortableRandom(12)
    let matrix = random.normal(20, 31)
    let found = try SVD.randomized(matrix, rank: 20, oversample: 99, iterations: 1, seed: 1)
    let exact = try SVD.exact(matrix)
    for (a, b) in zip(found.singularValues, exact.singularValues) { #expect(abs(a - b) < 1e-11) }
    #expect(try distance(found.u.multiplied(by: found.vt), exact.u.multiplied(by: exact.vt)) < 1e-9)
    // With the sign rule even the vectors agree.
    #expect(distance(found.u, exact.u) < 1e-8)
  }

  @Test("One seed gives one result, with any number of workers; seeds and streams differ")
  func determinism() throws {
    var random = PortableRandom(13)
    let matrix = random.normal(300, 420).single
    let one = try SVD.randomized(matrix, rank: 8, seed: 5)
    let two = try SVD.randomized(matrix, rank: 8, seed: 5, pool: WorkerPool(workers: 2))
    #expect(one.u == two.u && one.vt == two.vt && one.singularValues == two.singularValues)
    #expect(try SVD.randomized(matrix, rank: 8, seed: 6).u != one.u)
    #expect(try SVD.randomized(matrix, rank: 8, seed: 5, stream: 1).u != one.u)
  }

  @Test("Ranks and parameters out of range are errors", arguments: [0, -1, 4])
  func rank(_ rank: Int) {
    let matrix = Matrix<Double>(rows: 3, columns: 5, repeating: 1)
    #expect(throws: LinearAlgebraError.self) { try SVD.randomized(matrix, rank: rank, seed: 1) }
    #expect(throws: LinearAlgebraError.self) { try SVD.exact(matrix, rank: rank) }
    #expect(throws: LinearAlgebraError.self) {
      try SVD.randomized(matrix, rank: 1, oversample: -1, seed: 1)
    }
    #expect(throws: LinearAlgebraError.self) {
      try SVD.randomized(matrix, rank: 1, iterations: -1, seed: 1)
    }
  }

  @Test("A zero matrix gives zero values and orthonormal vectors")
  func zero() throws {
    let result = try SVD.randomized(
      Matrix<Float>(rows: 12, columns: 9, repeating: 0), rank: 3, seed: 1)
    #expect(result.singularValues == [0, 0, 0])
    #expect(try columnDefect(result.u) < 1e-6)
  }
}
