import JSONText
import Testing

@Suite("JSON writer")
struct JSONWriterTests {
  private let sample: JSONValue = [
    "b": [1, 2.5, true, nil, "x\"\\\n\r\t\u{1}\u{1F}é\u{1F600}\u{2028}"], "a": [:], "c": [],
    "B": ["z": -3, "y": 1e30],
  ]

  @Test("Every layout reads back as the same value")
  func roundTrip() throws {
    for layout in [JSONValue.Layout.compact, .canonical, .pretty] {
      #expect(try JSONParser.parse(sample.text(layout)) == sample)
    }
    let compact = sample.text()
    #expect(try JSONParser.parse(compact).text() == compact)
  }

  @Test("The three layouts, letter by letter")
  func layouts() {
    let value: JSONValue = ["b": [1, "x"], "a": ["d": nil, "c": [:]], "e": []]
    #expect(value.text(.compact) == #"{"b":[1,"x"],"a":{"d":null,"c":{}},"e":[]}"#)
    #expect(value.text(.canonical) == #"{"a":{"c":{},"d":null},"b":[1,"x"],"e":[]}"#)
    let pretty = """
      {
        "b": [
          1,
          "x"
        ],
        "a": {
          "d": null,
          "c": {}
        },
        "e": []
      }
      """
    #expect(value.text(.pretty) == pretty)
  }

  @Test("Canonical order is that of the bytes, whatever order the keys came in")
  func canonical() {
    let keys = ["é", "e\u{301}", "z", "Z", "", "10", "2", "\u{1F600}", "\u{FFFD}"]
    var forward = JSONObject()
    for key in keys { forward[key] = 1 }
    var backward = JSONObject()
    for key in keys.reversed() { backward[key] = 1 }
    #expect(JSONValue.object(forward) == .object(backward))
    #expect(forward.hashValue == backward.hashValue)
    #expect(
      JSONValue.object(forward).text(.canonical) == JSONValue.object(backward).text(.canonical))
    #expect(
      JSONValue.object(forward).text(.canonical)
        == "{\"\":1,\"10\":1,\"2\":1,\"Z\":1,\"e\u{301}\":1,\"z\":1,\"é\":1,\"\u{FFFD}\":1,\"\u{1F600}\":1}"
    )
  }

  @Test("Numbers keep their text; doubles and floats their shortest digits; no infinities")
  func numbers() throws {
    #expect(
      try JSONParser.parse("[1.0, 1e5, 100000000000000000001]").text()
        == "[1.0,1e5,100000000000000000001]")
    #expect(JSONValue(0.1).text() == "0.1")
    #expect(JSONValue(Float(0.1)).text() == "0.1")
    for value in [
      0.1 + 0.2, Double.leastNonzeroMagnitude, Double.greatestFiniteMagnitude, -0.0, 1e21,
    ] {
      let back = try JSONParser.parse(JSONValue(value).text()).double
      #expect(back?.bitPattern == value.bitPattern)
    }
    #expect(JSONValue(Double.infinity) == nil && JSONValue(Float.nan) == nil)
  }

  @Test("Control characters are escaped, everything else is written as it is")
  func strings() {
    #expect(JSONValue("\u{0}\u{1F}\u{7F}").text() == "\"\\u0000\\u001f\u{7F}\"")
    #expect(JSONValue("\r\n").text() == #""\r\n""#)
  }

  @Test("Objects keep the order of their keys; assigning again keeps the place")
  func order() {
    var object = JSONObject()
    object["b"] = 1
    object["a"] = 2
    object["b"] = 3
    object["a"] = nil
    #expect(object.keys == ["b", "a"])
    #expect(object["b"]?.int == 3 && object["a"]?.int == 2)
  }
}
