import LinearAlgebra
import Tensors

/// Random signs to start a subspace from: as good as normal numbers, and quicker to make.
enum Sketch {
  /// rows × columns of ±1, element i from bit i % 128 of Philox block i / 128.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  static func signs<S: BLASScalar>(
    rows: Int, columns: Int, seed: UInt64, stream: UInt32, query: UInt32 = 0
  ) -> Matrix<S> {
    let generator = Philox(seed: seed)
    return Matrix(rows: rows, columns: columns) { target in
      var index = 0
      while index < target.count {
        let words = generator.block(
          elementBlock: UInt32(truncatingIfNeeded: index / 128), tensor: stream, purpose: .sketch,
          query: query)
        for word in 0..<4 {
          var bits = words[word]
          for _ in 0..<min(32, max(0, target.count - index)) {
            target.initializeElement(at: index, to: bits & 1 == 0 ? 1 : -1)
            bits >>= 1
            index += 1
          }
        }
      }
    }
  }
}
