import Kernels

/// Stored scales of keys and values: numbers of 8 bits, in every layer one scale for keys and one
/// for values, found beforehand (compressed-tensors' `kv_cache_scheme`, docs/activations.md).
///
/// Every token is rounded as its key and value come to the cache, the newest too: what a token sees
/// depends neither on positions nor on how windows are cut.
public struct KeyValueScales: Sendable, Hashable {
  /// The numbers that keys and values become.
  public enum Format: String, Sendable, Hashable, CaseIterable {
    /// −127 … 127 times the scale.
    case int8
    /// OCP FP8 E4M3: ±448 times the scale, saturated.
    case fp8E4M3 = "fp8_e4m3"

    /// The largest number, which the largest value that was seen becomes.
    public var largest: Float { self == .int8 ? 127 : 448 }
  }

  /// One layer's scales; keys are rounded after rotary positions.
  public struct Layer: Sendable, Hashable {
    public var key: Float
    public var value: Float

    public init(key: Float, value: Float) {
      self.key = key
      self.value = value
    }
  }

  public let format: Format
  public let layers: [Layer]

  public init(format: Format, layers: [Layer]) {
    self.format = format
    self.layers = layers
  }

  /// - Throws: `WeightsError.keyValue` for a scale that is no positive normal number.
  public func validate() throws(WeightsError) {
    guard !layers.isEmpty else { throw .keyValue("no layer has scales") }
    for (index, layer) in layers.enumerated() {
      for (what, scale) in [("keys", layer.key), ("values", layer.value)]
      where !(scale >= .leastNormalMagnitude && scale.isFinite) {
        throw .keyValue("the scale of layer \(index)'s \(what) is \(scale)")
      }
    }
  }

  /// What the scheme is, in a few words.
  public var name: String { format.schemeName }

  /// Rounds a layer's keys in place, `tokens × width`.
  public func roundKeys(
    _ keys: UnsafeMutablePointer<Float>, tokens: Int, width: Int, layer: Int
  ) {
    round(keys, tokens, width, layers[layer].key)
  }

  /// Rounds a layer's values in place, `tokens × width`.
  public func roundValues(
    _ values: UnsafeMutablePointer<Float>, tokens: Int, width: Int, layer: Int
  ) {
    round(values, tokens, width, layers[layer].value)
  }

  private func round(
    _ x: UnsafeMutablePointer<Float>, _ tokens: Int, _ width: Int, _ scale: Float
  ) {
    guard tokens > 0, width > 0 else { return }
    var grid = PithActivationGrid()
    switch format {
    case .int8: grid.kind = Int32(PITH_ROUND_SYMMETRIC)
    case .fp8E4M3:
      grid.kind = Int32(PITH_ROUND_FLOAT)
      grid.mantissa = 3
      grid.smallest_normal = 0x1p-6
    }
    grid.levels = format.largest
    grid.largest = format.largest
    grid.clip = 1
    grid.step = scale
    pith_round_activations(x, tokens, width, width, width, &grid)
  }
}
