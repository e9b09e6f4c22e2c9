extension Philox {
  /// Signs ±1 of some elements of a stream, each its own bit.
  ///
  /// Element e is bit e mod 32 of word (e / 32) mod 4 of block e / 128; a set bit is −1. Any part of
  /// a stream can be asked for on its own.
  public func signs(
    elements: Range<Int>, tensor: UInt32 = 0, step: UInt32 = 0, purpose: Purpose,
    query: UInt32 = 0, into target: UnsafeMutablePointer<Float>
  ) {
    var element = elements.lowerBound
    while element < elements.upperBound {
      let number = element >> 7
      let words = block(
        elementBlock: UInt32(truncatingIfNeeded: number), tensor: tensor, step: step,
        purpose: purpose, query: query)
      let end = min((number + 1) << 7, elements.upperBound)
      while element < end {
        let word = words[(element >> 5) & 3]
        let stop = min(((element >> 5) + 1) << 5, end)
        while element < stop {
          let bit = (word >> UInt32(element & 31)) & 1
          // The sign bit of a one: no branch, no multiplication.
          target[element - elements.lowerBound] = Float(bitPattern: 0x3F80_0000 | bit << 31)
          element += 1
        }
      }
    }
  }

  /// Standard normal numbers of some elements of a stream: the same as `normals`, at any place.
  public func normals(
    elements: Range<Int>, tensor: UInt32 = 0, step: UInt32 = 0, purpose: Purpose,
    query: UInt32 = 0, into target: UnsafeMutablePointer<Float>
  ) {
    var element = elements.lowerBound
    while element < elements.upperBound {
      let number = element >> 2
      let words = block(
        elementBlock: UInt32(truncatingIfNeeded: number), tensor: tensor, step: step,
        purpose: purpose, query: query)
      let first = Self.normalPair(words[0], words[1])
      let second = Self.normalPair(words[2], words[3])
      let four = SIMD4(
        Float(first.0), Float(first.1), Float(second.0), Float(second.1))
      let end = min((number + 1) << 2, elements.upperBound)
      while element < end {
        target[element - elements.lowerBound] = four[element & 3]
        element += 1
      }
    }
  }
}
