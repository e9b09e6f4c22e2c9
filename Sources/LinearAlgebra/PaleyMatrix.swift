import Tensors

/// Hadamard matrices whose order is no power of two, by Paley's constructions (1933).
///
/// With q prime and χ the quadratic character modulo q, Q_ij = χ(i − j): order q + 1 for
/// q ≡ 3 (mod 4) is S + I, S = [[0, 1], [−1, Q]]; order 2(q + 1) for q ≡ 1 (mod 4) is
/// S ⊗ [[1, 1], [1, −1]] + I ⊗ [[1, −1], [−1, −1]], S = [[0, 1], [1, Q]]. H·Hᵀ = n·I.
enum PaleyMatrix {
  /// Whether one of the two constructions gives this order.
  static func exists(order: Int) -> Bool { modulus(order) != nil }

  /// Row-major entries ±1; nil where no construction gives the order.
  static func entries(order: Int) -> [Int8]? {
    guard let (q, isFirst) = modulus(order) else { return nil }
    let squares = Set((1..<q).map { $0 * $0 % q })
    func character(_ difference: Int) -> Int {
      let value = (difference % q + q) % q
      return value == 0 ? 0 : squares.contains(value) ? 1 : -1
    }
    let small = q + 1
    var core = [Int](repeating: 0, count: small * small)
    for index in 1..<small {
      core[index] = 1
      core[index * small] = isFirst ? -1 : 1
      for other in 1..<small { core[index * small + other] = character(index - other) }
    }
    var result = [Int8](repeating: 0, count: order * order)
    for row in 0..<order {
      for column in 0..<order {
        if isFirst {
          result[row * order + column] = Int8(core[row * small + column] + (row == column ? 1 : 0))
        } else {
          let s = core[row / 2 * small + column / 2]
          let isOdd = row % 2 == 1 && column % 2 == 1
          let outer = isOdd ? -s : s
          let inner = row / 2 == column / 2 ? (row % 2 == 0 && column % 2 == 0 ? 1 : -1) : 0
          result[row * order + column] = Int8(outer + inner)
        }
      }
    }
    return result
  }

  private static func modulus(_ order: Int) -> (q: Int, isFirst: Bool)? {
    if order % 4 == 0, isPrime(order - 1) { return (order - 1, true) }
    if order % 4 == 0, order >= 12, isPrime(order / 2 - 1), (order / 2 - 1) % 4 == 1 {
      return (order / 2 - 1, false)
    }
    return nil
  }

  private static func isPrime(_ number: Int) -> Bool {
    guard number > 1 else { return false }
    var divisor = 2
    while divisor * divisor <= number {
      if number % divisor == 0 { return false }
      divisor += 1
    }
    return true
  }
}
