import JSONText
import Weights

extension KeyValueScheme: HeaderObject {
  static var attribute: String { "kv_cache" }

  var object: JSONObject {
    var object = JSONObject()
    object["group"] = .init(group)
    object["key_bits"] = .init(keyBits)
    object["keys"] = .string(keys.rawValue)
    object["residual"] = .init(residual)
    object["value_bits"] = .init(valueBits)
    return object
  }

  init?(object: JSONObject) {
    guard let keyBits = object["key_bits"]?.int, let valueBits = object["value_bits"]?.int,
      let keys = object["keys"]?.string.flatMap(KeyGranularity.init),
      let group = object["group"]?.int, let residual = object["residual"]?.int
    else { return nil }
    self.init(
      keyBits: keyBits, valueBits: valueBits, keys: keys, group: group, residual: residual)
  }
}
