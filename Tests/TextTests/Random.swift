import Tensors

/// Reproducible random numbers for tests.
struct Random: RandomNumberGenerator {
  private let philox: Philox
  private var counter: UInt32 = 0

  init(_ seed: UInt64) { philox = Philox(seed: seed) }

  mutating func next() -> UInt64 {
    counter += 1
    let words = philox.block(SIMD4(counter, 0, 0, 0))
    return UInt64(words[0]) << 32 | UInt64(words[1])
  }

  /// A text of scalars that the split patterns tell apart, often several in a row.
  mutating func text(_ count: Int) -> String {
    let scalars = Array(
      "aZé中ſ'stmdrevl01²Ⅷ  \t\n\r\u{A0}\u{180E}\u{2003}.,!_-\u{301}\u{200D}😀\0".unicodeScalars)
    var result = String.UnicodeScalarView()
    while result.count < count {
      let scalar = scalars[Int.random(in: 0..<scalars.count, using: &self)]
      for _ in 0..<(Int.random(in: 0..<4, using: &self) == 0 ? 3 : 1) { result.append(scalar) }
    }
    return String(result)
  }
}
