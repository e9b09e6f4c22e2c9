import JSONText
import Recipes
import Testing

@Suite("Schema")
struct SchemaTests {
  static let schema = RecipeSchema.json

  @Test func schemaSaysWhatItIs() {
    #expect(Self.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema")
    #expect(Self.schema["additionalProperties"] == false)
    let bits = Self.schema["$defs"]?["quantize"]?["properties"]?["quantize"]?["properties"]?["bits"]
    #expect(bits?["minimum"] == 2 && bits?["maximum"] == 8)
    let group =
      Self.schema["$defs"]?["quantize"]?["properties"]?["quantize"]?["properties"]?["group"]
    #expect(group?["default"] == 128)
  }

  @Test(arguments: Preset.all)
  func presetsAreValid(_ preset: Preset) throws {
    #expect(problems(try preset.recipe().canonicalJSON) == [])
  }

  @Test func everythingIsValid() throws {
    #expect(problems(try CanonicalTests.full().canonicalJSON) == [])
    let patched = try RecipeParser.parse(text: ResolutionTests.text, file: "r.yaml")
    #expect(problems(patched.canonicalJSON) == [])
  }

  @Test(arguments: [
    #"{"quantize":{"method":"rtn","bits":9}}"#, #"{"quantize":{"method":"rtn"}}"#,
    #"{"quantize":{"method":"rtn","bits":4,"grup":1}}"#, #"{"quantise":{}}"#,
    #"{"prune":{"method":"magnitude","sparsity":1}}"#, #"{"prune":{"method":"magnitude"}}"#,
    #"{"prune":{"method":"magnitude","sparsity":0.5,"pattern":"2:4"}}"#,
    #"{"quantize":{"method":"gptqq","bits":4}}"#, #""quantize""#,
  ])
  func whatTheParserRefusesTheSchemaRefuses(_ stage: String) throws {
    let text = #"{"version":1,"name":"t","stages":[\#(stage)]}"#
    #expect(problems(try JSONParser.parse(text)) != [])
    #expect(messages(text).first != "accepted")
  }

  private func problems(_ document: JSONValue) -> [String] {
    SchemaCheck(root: Self.schema).problems(document, Self.schema, "$")
  }
}

/// As much of JSON Schema as the recipe's schema uses; an unknown keyword is a problem.
private struct SchemaCheck {
  let root: JSONValue

  func problems(_ value: JSONValue, _ schema: JSONValue, _ path: String) -> [String] {
    var found: [String] = []
    for (keyword, rule) in schema.object?.members ?? [] {
      if !holds(keyword, rule, value, schema) { found.append("\(path): \(keyword)") }
    }
    for (key, member) in value.object?.members ?? [] {
      if let own = schema["properties"]?[key] {
        found += problems(member, own, "\(path).\(key)")
      } else if schema["additionalProperties"] == false {
        found.append("\(path).\(key): unknown")
      }
    }
    if let items = schema["items"] {
      for (index, element) in (value.array ?? []).enumerated() {
        found += problems(element, items, "\(path)[\(index)]")
      }
    }
    return found
  }

  private func fits(_ value: JSONValue, _ schema: JSONValue) -> Bool {
    problems(value, schema, "").isEmpty
  }

  private func holds(
    _ keyword: String, _ rule: JSONValue, _ value: JSONValue, _ schema: JSONValue
  ) -> Bool {
    switch keyword {
    case "$schema", "title", "description", "default", "$defs", "properties", "items",
      "additionalProperties", "pattern":
      true
    case "$ref":
      rule.string?.split(separator: "/").last.flatMap { root["$defs"]?[String($0)] }
        .map { fits(value, $0) } ?? false
    case "type": isType(rule.string ?? "", value)
    case "enum": rule.array?.contains(value) ?? false
    case "const": rule == value
    case "required": (rule.array ?? []).allSatisfy { value[$0.string ?? ""] != nil }
    case "oneOf": (rule.array ?? []).count { fits(value, $0) } == 1
    case "anyOf": (rule.array ?? []).contains { fits(value, $0) }
    case "not": !fits(value, rule)
    case "minimum": (value.double ?? 0) >= rule.double ?? 0
    case "maximum": (value.double ?? 0) <= rule.double ?? 0
    case "exclusiveMinimum": (value.double ?? 1) > rule.double ?? 0
    case "exclusiveMaximum": (value.double ?? 0) < rule.double ?? 0
    case "minItems": (value.array ?? []).count >= rule.int ?? 0
    case "minProperties": (value.object?.members ?? []).count >= rule.int ?? 0
    case "minLength": (value.string ?? "").unicodeScalars.count >= rule.int ?? 0
    case "maxLength": (value.string ?? "").unicodeScalars.count <= rule.int ?? 0
    default: false
    }
  }

  private func isType(_ type: String, _ value: JSONValue) -> Bool {
    switch type {
    case "object": value.object != nil
    case "array": value.array != nil
    case "string": value.string != nil
    case "boolean": value.bool != nil
    case "number": value.double != nil
    case "integer": value.int != nil || UInt64(value.text()) != nil
    default: false
    }
  }
}
