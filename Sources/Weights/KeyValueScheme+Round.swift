import Kernels

extension KeyValueScheme {
  /// Rounds the keys of whole groups of tokens in place, `tokens × width` at a stride of the width;
  /// `tokens` is a multiple of the group, the first of them the first of a group.
  public func roundKeys(
    _ keys: UnsafeMutablePointer<Float>, tokens: Int, width: Int, headDimension: Int
  ) {
    switch self.keys {
    case .channel:
      for first in stride(from: 0, to: tokens, by: group) {
        pith_round_columns(
          keys + first * width, min(group, tokens - first), width, width, levels(keyBits))
      }
    case .token:
      roundTokens(keys, tokens, width, headDimension, bits: keyBits)
    }
  }

  /// Rounds values in place, `tokens × width`.
  public func roundValues(
    _ values: UnsafeMutablePointer<Float>, tokens: Int, width: Int, headDimension: Int
  ) {
    roundTokens(values, tokens, width, headDimension, bits: valueBits)
  }

  private func roundTokens(
    _ x: UnsafeMutablePointer<Float>, _ tokens: Int, _ width: Int, _ headDimension: Int, bits: Int
  ) {
    var grid = PithActivationGrid()
    grid.kind = Int32(PITH_ROUND_OFFSET)
    grid.levels = levels(bits)
    grid.clip = 1
    pith_round_activations(x, tokens, width, width, run(headDimension: headDimension), &grid)
  }

  private func levels(_ bits: Int) -> Float { Float(1 << bits - 1) }
}
