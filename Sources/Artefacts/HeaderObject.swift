import JSONText
import Tensors
import Weights

/// A value that an artefact's root holds as an attribute: a JSON object of so many keys.
protocol HeaderObject {
  static var attribute: String { get }
  var object: JSONObject { get }
  /// nil where a key is missing or holds something else.
  init?(object: JSONObject)
  func validate() throws(WeightsError)
}

extension HeaderObject {
  var headerText: String { JSONValue.object(object).text(.canonical) }

  /// - Throws: `ArtefactError.invalidAttribute` when the attribute is there and cannot be read.
  init?(header value: AttributeValue?, path: String) throws(ArtefactError) {
    guard let value else { return nil }
    let text = value.string ?? "\(value)"
    let invalid = ArtefactError.invalidAttribute(
      path: path, object: "/", attribute: Self.attribute, found: String(text.prefix(80)))
    guard let object = (try? JSONParser.parse(text))?.object, let read = Self(object: object),
      read.object.members.count == object.members.count
    else { throw invalid }
    do { try read.validate() } catch { throw invalid }
    self = read
  }
}
