import Tensors

extension Template {
  /// Which examples stand before a prompt: `count` of `available`, none twice.
  ///
  /// A partial Fisher–Yates shuffle: draw i swaps place i with place i + ⌊u · (n − i) / 2⁶⁴⌋, u
  /// from block i of the data-sampling stream, whose `query` is the number of the prompt.
  ///
  /// - Throws: `TextError.tooFewExamples`.
  public static func exampleIndices(
    count: Int, available: Int, seed: UInt64, prompt: Int = 0
  ) throws(TextError) -> [Int] {
    guard count >= 0, count <= available else {
      throw .tooFewExamples(needed: count, found: available)
    }
    let generator = Philox(seed: seed)
    var indices = Array(0..<available)
    for place in 0..<count {
      let other =
        place
        + Int(
          Windows.drawn(
            generator, place, below: UInt64(available - place),
            query: UInt32(truncatingIfNeeded: prompt + 1)))
      indices.swapAt(place, other)
    }
    return Array(indices.prefix(count))
  }

  /// The text of k worked examples, each followed by the separator, to put before a prompt.
  ///
  /// - Parameters:
  ///   - examples: Labelled records, none of them to be scored.
  ///   - prompt: The number of the prompt that they go before: each prompt has its own choice.
  /// - Throws: `TextError.tooFewExamples`, and what rendering and labels throw.
  public func prefix(
    examples: [TextRecord], count: Int, seed: UInt64, prompt: Int = 0,
    labelField: String = "label", separator: String = "\n\n"
  ) throws(TextError) -> String {
    let chosen = try Self.exampleIndices(
      count: count, available: examples.count, seed: seed, prompt: prompt)
    var result = ""
    for index in chosen {
      let rendered = try render(examples[index])
      let label = try examples[index].label(labelField, options: options)
      result += rendered.text(option: label) + separator
    }
    return result
  }
}
