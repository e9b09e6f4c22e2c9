/// Philox4x32-10: a counter-based generator (Salmon et al., SC 2011; Random123).
///
/// Word k of block c is a pure function of (key, c), so any part of a stream can be regenerated
/// anywhere, in any order, by any number of workers.
public struct Philox: Sendable, Hashable {
  public var key: SIMD2<UInt32>

  /// A generator keyed by a 64-bit seed: low word first.
  public init(seed: UInt64) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
  }

  /// The four words of one counter value.
  public func block(_ counter: SIMD4<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for _ in 0..<10 {
      let first = UInt64(0xD251_1F53) &* UInt64(c[0])
      let second = UInt64(0xCD9E_8D57) &* UInt64(c[2])
      c = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ c[1] ^ k[0],
        UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ c[3] ^ k[1],
        UInt32(truncatingIfNeeded: first))
      k = SIMD2(k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85)
    }
    return c
  }

  /// The words at one address of the project's counter layout.
  ///
  /// c0 = element / 4, c1 = tensor, c2 = step, c3 = purpose << 24 | query; the layout is part of
  /// the artefact's version.
  public func block(
    elementBlock: UInt32, tensor: UInt32 = 0, step: UInt32 = 0, purpose: Purpose, query: UInt32 = 0
  ) -> SIMD4<UInt32> {
    block(SIMD4(elementBlock, tensor, step, purpose.rawValue << 24 | (query & 0xFF_FFFF)))
  }

  /// What a stream of numbers is for; streams of different purposes never overlap.
  public enum Purpose: UInt32, Sendable {
    case perturbation = 0
    case dataSampling = 1
    case lowRankDirection = 2
    case sketch = 3
    case sampling = 4
    case bootstrap = 5
    case rotation = 8
  }

  /// Standard normal numbers by Box–Muller, transcendental part in f64, rounded once to f32.
  ///
  /// Element i of the stream comes from the words of block i / 4, pairs (0, 1) and (2, 3).
  public func normals(
    count: Int, tensor: UInt32 = 0, step: UInt32 = 0, purpose: Purpose, query: UInt32 = 0
  ) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(count + 3)
    var elementBlock: UInt32 = 0
    while result.count < count {
      let words = block(
        elementBlock: elementBlock, tensor: tensor, step: step, purpose: purpose, query: query)
      for pair in [0, 2] {
        let (first, second) = Self.normalPair(words[pair], words[pair + 1])
        result.append(Float(first))
        result.append(Float(second))
      }
      elementBlock &+= 1
    }
    result.removeLast(result.count - count)
    return result
  }

  /// Box–Muller on two words: u1 = (w0 >> 9 + ½)·2⁻²³ is never 0 or 1.
  static func normalPair(_ first: UInt32, _ second: UInt32) -> (Double, Double) {
    let u1 = (Double(first >> 9) + 0.5) * 0x1p-23
    let u2 = Double(second >> 8) * 0x1p-24
    let radius = (-2 * logarithm(u1)).squareRoot()
    let (sine, cosine) = sineCosine(2 * Double.pi * u2)
    return (radius * cosine, radius * sine)
  }
}
