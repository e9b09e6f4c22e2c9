import Tensors
import Weights

/// Codes in 32-bit words, as GPTQ, AWQ and compressed-tensors keep them.
///
/// All but AWQ's are one dense little-endian stream of bits, also at 3 bits, where GPTQ's
/// "10|1|10|1|10" turns out to be just that (ptq.md, part F).
enum PackedWords {
  /// The words of a stream of codes; the last is padded with zeros.
  static func count(codes: Int, bits: Int) -> Int { (codes * bits + 31) / 32 }

  /// The stream of one run of codes.
  static func stream(_ codes: [UInt8], bits: Int) -> [UInt32] {
    var words = [UInt32](repeating: 0, count: count(codes: codes.count, bits: bits))
    for (index, code) in codes.enumerated() {
      let (word, shift) = (index * bits).quotientAndRemainder(dividingBy: 32)
      words[word] |= UInt32(code) << UInt32(shift)
      if shift + bits > 32 { words[word + 1] |= UInt32(code) >> UInt32(32 - shift) }
    }
    return words
  }

  /// The codes of a stream.
  static func codes(_ words: [UInt32], count: Int, bits: Int) -> [UInt8] {
    let mask = UInt32(1 << bits) - 1
    return (0..<count).map { index in
      let (word, shift) = (index * bits).quotientAndRemainder(dividingBy: 32)
      var value = words[word] >> UInt32(shift)
      if shift + bits > 32 { value |= words[word + 1] << UInt32(32 - shift) }
      return UInt8(truncatingIfNeeded: value & mask)
    }
  }

  /// A matrix of codes, `lines × length`, packed along `length` and laid out with words first:
  /// `words × lines`.
  ///
  /// GPTQ's weights (lines are outputs) and compressed-tensors' zero points (lines are groups).
  static func wordsFirst(
    lines: Int, length: Int, bits: Int, _ code: (_ line: Int, _ index: Int) -> UInt8
  ) -> [UInt32] {
    let words = count(codes: length, bits: bits)
    var result = [UInt32](repeating: 0, count: words * lines)
    result.withUnsafeMutableBufferPointer { target in
      for line in 0..<lines {
        for index in 0..<length {
          let value = UInt32(code(line, index))
          let (word, shift) = (index * bits).quotientAndRemainder(dividingBy: 32)
          target[word * lines + line] |= value << UInt32(shift)
          if shift + bits > 32 {
            target[(word + 1) * lines + line] |= value >> UInt32(32 - shift)
          }
        }
      }
    }
    return result
  }

  /// The codes of `wordsFirst`, `lines × length`.
  static func codes(wordsFirst words: [UInt32], lines: Int, length: Int, bits: Int) -> [UInt8] {
    let mask = UInt32(1 << bits) - 1
    var result = [UInt8](repeating: 0, count: lines * length)
    for line in 0..<lines {
      for index in 0..<length {
        let (word, shift) = (index * bits).quotientAndRemainder(dividingBy: 32)
        var value = words[word * lines + line] >> UInt32(shift)
        if shift + bits > 32 { value |= words[(word + 1) * lines + line] << UInt32(32 - shift) }
        result[line * length + index] = UInt8(truncatingIfNeeded: value & mask)
      }
    }
    return result
  }

  /// Where AWQ puts each of eight consecutive codes: nibble k of a word holds code `awqOrder[k]`.
  static let awqOrder = [0, 2, 4, 6, 1, 3, 5, 7]

  /// A row of 4-bit codes in AWQ's order, eight a word.
  static func awq(_ codes: ArraySlice<UInt8>) -> [UInt32] {
    let first = codes.startIndex
    return (0..<codes.count / 8).map { word in
      awqOrder.enumerated().reduce(UInt32(0)) { sum, entry in
        sum | UInt32(codes[first + word * 8 + entry.element] & 15) << UInt32(4 * entry.offset)
      }
    }
  }

  /// The codes of AWQ's words.
  static func codes(awq words: ArraySlice<UInt32>) -> [UInt8] {
    words.flatMap { word in
      var run = [UInt8](repeating: 0, count: 8)
      for (nibble, position) in awqOrder.enumerated() {
        run[position] = UInt8(word >> UInt32(4 * nibble) & 15)
      }
      return run
    }
  }
}
