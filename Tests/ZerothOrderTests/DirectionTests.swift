import Tensors
import Testing

@testable import ZerothOrder

/// Known answers and statistics of directions (the methods page §3 and §4, and its oracle).
@Suite struct DirectionTests {
  private func direction(
    _ kind: Directions.Kind, _ parameter: Parameter, _ elements: Range<Int>, step: Int = 7,
    query: Int = 0, seed: UInt64 = 42
  ) -> [Float] {
    var values = [Float](repeating: 0, count: elements.count)
    Directions(kind: kind, seed: seed).fill(
      &values, parameter: parameter, elements: elements, step: step, query: query)
    return values
  }

  @Test func knownAnswers() {
    let parameter = Sample.parameter(columns: 64)
    let signs = direction(.rademacher, parameter, 0..<16).map { $0 > 0 ? "+" : "-" }.joined()
    #expect(signs == "++--+--+--++-+++")
    let normal = direction(.gaussian, parameter, 0..<4)
    #expect(normal == [-1.52461302, -1.10633183, 0.819374204, -0.324855238])
  }

  @Test(arguments: Directions.Kind.allCases)
  func anyPartIsTheSame(kind: Directions.Kind) {
    let parameter = Sample.parameter(rows: 16, columns: 40)
    let whole = direction(kind, parameter, 0..<640)
    for range in [0..<1, 3..<5, 31..<33, 127..<129, 100..<640, 639..<640] {
      #expect(direction(kind, parameter, range) == Array(whole[range]))
    }
    #expect(direction(kind, parameter, 0..<640, step: 8) != whole)
    #expect(direction(kind, parameter, 0..<640, query: 1) != whole)
    #expect(direction(kind, parameter, 0..<640, seed: 0) != whole)
  }

  /// A step's slopes along z on a quadratic: E[d·z] = g, and E|d·z|² as the page has it.
  @Test(arguments: [Directions.Kind.rademacher, .gaussian])
  func estimatesAreUnbiased(kind: Directions.Kind) {
    let size = 24
    let gradient = (0..<size).map { Float($0 % 5) - 2 + 0.3 * Float($0) / Float(size) }
    let squared = gradient.reduce(0) { $0 + Double($1 * $1) }
    let parameter = Sample.parameter(columns: size)
    let trials = 40_000
    var mean = [Double](repeating: 0, count: size)
    var (second, shrunk) = (0.0, 0.0)
    let bound = squared.squareRoot()
    for step in 0..<trials {
      let z = direction(kind, parameter, 0..<size, step: step)
      let slope = zip(gradient, z).reduce(0.0) { $0 + Double($1.0 * $1.1) }
      for index in 0..<size { mean[index] += slope * Double(z[index]) / Double(trials) }
      second += slope * slope * z.reduce(0.0) { $0 + Double($1 * $1) } / Double(trials)
      shrunk += max(-bound, min(bound, slope)) * slope / squared / Double(trials)
    }
    let error = zip(mean, gradient).reduce(0.0) {
      $0 + ($1.0 - Double($1.1)) * ($1.0 - Double($1.1))
    }
    #expect((error / squared).squareRoot() < 0.05)
    let expected = Double(kind == .gaussian ? size + 2 : size)
    #expect(abs(second / squared / expected - 1) < 0.03)
    // Clipping at |g| shrinks the estimate by erf(1/√2); it is not unbiased as the paper says.
    if kind == .gaussian { #expect(abs(shrunk - 0.683) < 0.02) }
  }

  /// n directions: (D + n + 1)/n for normal numbers, (D + n − 1)/n for signs.
  @Test func severalDirections() {
    let (size, count, trials) = (20, 4, 20_000)
    let parameter = Sample.parameter(columns: size)
    let directions = Directions(kind: .rademacher, seed: 9)
    var second = 0.0
    for step in 0..<trials {
      // The gradient is 1 everywhere.
      let slopes = (0..<count).map { query -> Float in
        var z = [Float](repeating: 0, count: size)
        directions.fill(&z, parameter: parameter, elements: 0..<size, step: step, query: query)
        return z.reduce(0, +) / Float(count)
      }
      let estimate = directions.combined(
        slopes, parameter: parameter, elements: 0..<size, step: step)
      second += estimate.reduce(0.0) { $0 + Double($1 * $1) } / Double(size * trials)
    }
    let expected = Double(size + count - 1) / Double(count)
    #expect(abs(second / expected - 1) < 0.03)
  }

  /// LoZO's directions have variance 1, rank r, and keep V for some steps.
  @Test func lowRankDirections() {
    let parameter = Sample.parameter(rows: 30, columns: 20)
    let directions = Directions(kind: .lowRank, seed: 5, rank: 1, refresh: 10)
    func matrix(_ step: Int) -> [Float] {
      var values = [Float](repeating: 0, count: 600)
      directions.fill(&values, parameter: parameter, elements: 0..<600, step: step, query: 0)
      return values
    }
    let (a, b, other) = (matrix(11), matrix(19), matrix(20))
    func ratio(_ m: [Float]) -> Float { m[1] / m[0] }
    // Rank 1: every row is a multiple of V, which stays from step 10 to 19.
    #expect(abs(a[21] / a[20] - ratio(a)) < 1e-3 * abs(ratio(a)))
    #expect(abs(ratio(a) - ratio(b)) < 1e-3 * abs(ratio(a)))
    #expect(abs(ratio(a) - ratio(other)) > 1e-3)
    var square = 0.0
    for step in stride(from: 0, to: 2000, by: 10) {
      square += matrix(step).reduce(0.0) { $0 + Double($1 * $1) } / 600 / 200
    }
    #expect(abs(square - 1) < 0.15)
  }

  @Test func examplesAreAFunctionOfTheStep() {
    let directions = Directions(kind: .rademacher, seed: 0)
    #expect(directions.words(count: 8, step: 3) == directions.words(count: 8, step: 3))
    #expect(directions.words(count: 8, step: 3) != directions.words(count: 8, step: 4))
    #expect(Array(directions.words(count: 8, step: 3)[..<4]) == directions.words(count: 4, step: 3))
  }
}
