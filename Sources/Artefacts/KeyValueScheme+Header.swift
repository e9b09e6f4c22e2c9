import JSONText
import Tensors
import Weights

extension KeyValueScheme {
  /// The root attribute `kv_cache`: a JSON object.
  var headerText: String {
    var object = JSONObject()
    object["group"] = .init(group)
    object["key_bits"] = .init(keyBits)
    object["keys"] = .string(keys.rawValue)
    object["residual"] = .init(residual)
    object["value_bits"] = .init(valueBits)
    return JSONValue.object(object).text(.canonical)
  }

  /// - Throws: `ArtefactError.invalidAttribute` when the attribute is there and cannot be read.
  init?(header value: AttributeValue?, path: String) throws(ArtefactError) {
    guard let value else { return nil }
    let text = value.string ?? "\(value)"
    let invalid = ArtefactError.invalidAttribute(
      path: path, object: "/", attribute: "kv_cache", found: String(text.prefix(80)))
    guard let object = (try? JSONParser.parse(text))?.object, object.members.count == 5,
      let keyBits = object["key_bits"]?.int, let valueBits = object["value_bits"]?.int,
      let keys = object["keys"]?.string.flatMap(KeyGranularity.init),
      let group = object["group"]?.int, let residual = object["residual"]?.int
    else { throw invalid }
    self.init(
      keyBits: keyBits, valueBits: valueBits, keys: keys, group: group, residual: residual)
    do { try validate() } catch { throw invalid }
  }
}
