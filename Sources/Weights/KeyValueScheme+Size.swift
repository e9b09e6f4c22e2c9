extension KeyValueScheme {
  /// Bytes of a cache that holds one sequence of so many tokens: older ones as codes with f16 scales
  /// and minima, the newest as f16 numbers.
  ///
  /// - Parameter numbers: keys and values of one token, all layers together.
  public func storedBytes(tokens: Int, numbers: Int, headDimension: Int) -> Int {
    let older = rounded(of: tokens)
    let bits = Double(older * numbers) * bitsPerNumber(headDimension: headDimension)
    return Int((bits / 8).rounded(.up)) + 2 * (tokens - older) * numbers
  }
}

extension KeyValueScales.Format {
  /// Bits of a key or value.
  public var bits: Int { 8 }

  /// Bytes of a cache that holds one sequence of so many tokens, with two f32 scales a layer.
  ///
  /// - Parameter numbers: keys and values of one token, all layers together.
  public func storedBytes(tokens: Int, numbers: Int, layers: Int) -> Int {
    tokens * numbers * bits / 8 + 8 * layers
  }

  /// What stored scales of this format are, in a few words.
  public var schemeName: String { "\(rawValue), a stored scale a layer" }
}
