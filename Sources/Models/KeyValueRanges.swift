import Architectures
import Kernels
import Synchronization
import Weights

/// Gathers the largest key and value of every layer while a model runs, keys after rotary positions.
public final class KeyValueRanges: SiteObserver {
  private let maxima: Mutex<[KeyValueScales.Layer]>

  public init(for description: ModelDescription) {
    maxima = Mutex(
      Array(repeating: .init(key: 0, value: 0), count: description.blocks.count))
  }

  public func observe(_ site: SiteDescription, _ x: UnsafePointer<Float>, rows: Int) {}

  public func observe(
    block: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, count: Int
  ) {
    func largest(_ x: UnsafePointer<Float>) -> Float {
      // A comparison with NaN is false, and would hide it; no scale is made of infinity.
      guard pith_first_nonfinite(x, count) < 0 else { return .infinity }
      var result: Float = 0
      for index in 0..<count { result = max(result, x[index].magnitude) }
      return result
    }
    let (key, value) = (largest(keys), largest(values))
    maxima.withLock {
      $0[block].key = max($0[block].key, key)
      $0[block].value = max($0[block].value, value)
    }
  }

  /// The scales under which what was seen fits.
  ///
  /// - Throws: `WeightsError.keyValue` for a layer whose keys or values were all zero, or not finite.
  public func scales(_ format: KeyValueScales.Format) throws(WeightsError) -> KeyValueScales {
    let result = KeyValueScales(
      format: format,
      layers: maxima.withLock { layers in
        layers.map {
          KeyValueScales.Layer(key: $0.key / format.largest, value: $0.value / format.largest)
        }
      })
    try result.validate()
    return result
  }
}
