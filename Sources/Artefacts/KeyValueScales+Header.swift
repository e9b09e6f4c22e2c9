import JSONText
import Weights

extension KeyValueScales: HeaderObject {
  static var attribute: String { "kv_scales" }

  /// f32 numbers, which decimals of f64 give back.
  var object: JSONObject {
    var object = JSONObject()
    object["format"] = .string(format.rawValue)
    object["keys"] = .array(layers.map { JSONValue(Double($0.key)) })
    object["values"] = .array(layers.map { JSONValue(Double($0.value)) })
    return object
  }

  init?(object: JSONObject) {
    guard let format = object["format"]?.string.flatMap(Format.init),
      let keys = object["keys"]?.array?.compactMap(\.double),
      let values = object["values"]?.array?.compactMap(\.double),
      keys.count == values.count, keys.count == object["keys"]?.array?.count,
      values.count == object["values"]?.array?.count
    else { return nil }
    self.init(
      format: format,
      layers: zip(keys, values).map { Layer(key: Float($0), value: Float($1)) })
  }
}
