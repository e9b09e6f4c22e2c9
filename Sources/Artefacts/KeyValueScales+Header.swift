import JSONText
import Tensors
import Weights

extension KeyValueScales {
  /// The root attribute `kv_scales`: a JSON object; f32 numbers, which decimals of f64 give back.
  var headerText: String {
    var object = JSONObject()
    object["format"] = .string(format.rawValue)
    object["keys"] = .array(layers.map { JSONValue(Double($0.key)) })
    object["values"] = .array(layers.map { JSONValue(Double($0.value)) })
    return JSONValue.object(object).text(.canonical)
  }

  /// - Throws: `ArtefactError.invalidAttribute` when the attribute is there and cannot be read.
  init?(header value: AttributeValue?, path: String) throws(ArtefactError) {
    guard let value else { return nil }
    let text = value.string ?? "\(value)"
    let invalid = ArtefactError.invalidAttribute(
      path: path, object: "/", attribute: "kv_scales", found: String(text.prefix(80)))
    guard let object = (try? JSONParser.parse(text))?.object, object.members.count == 3,
      let format = object["format"]?.string.flatMap(Format.init),
      let keys = object["keys"]?.array?.compactMap(\.double),
      let values = object["values"]?.array?.compactMap(\.double),
      keys.count == values.count, keys.count == object["keys"]?.array?.count,
      values.count == object["values"]?.array?.count
    else { throw invalid }
    self.init(
      format: format,
      layers: zip(keys, values).map { Layer(key: Float($0), value: Float($1)) })
    do { try validate() } catch { throw invalid }
  }
}
