import JSONText

/// Typed reading of config.json's keys, each error with the key, what it holds and what it should.
struct ConfigurationReader {
  let object: JSONObject
  /// The model type, for messages.
  let family: String

  private func present(_ keys: [String]) -> (key: String, value: JSONValue)? {
    for key in keys {
      if let value = object[key], !value.isNull { return (key, value) }
    }
    return nil
  }

  /// A positive integer under the first of the keys that is there; nil when none is.
  func optionalCount(_ keys: String...) throws(ArchitectureError) -> Int? {
    guard let (key, value) = present(keys) else { return nil }
    // The bound keeps products of two extents within Int.
    guard let number = value.int, number > 0, number <= 1 << 30 else {
      throw .wrongValue(key: key, found: value.text(), expected: "a positive whole number")
    }
    return number
  }

  /// A positive integer that must be there.
  func count(_ key: String, default fallback: Int? = nil) throws(ArchitectureError) -> Int {
    if let number = try optionalCount(key) { return number }
    guard let fallback else { throw .missingKey(key: key, family: family) }
    return fallback
  }

  /// A whole number, zero and negatives included.
  func integer(_ key: String, default fallback: Int) throws(ArchitectureError) -> Int {
    guard let (_, value) = present([key]) else { return fallback }
    guard let number = value.int, abs(number) <= 1 << 30 else {
      throw .wrongValue(key: key, found: value.text(), expected: "a whole number")
    }
    return number
  }

  /// A positive, finite number.
  func number(_ key: String, default fallback: Double) throws(ArchitectureError) -> Double {
    guard let (_, value) = present([key]) else { return fallback }
    return try Self.positive(value, key: key)
  }

  static func positive(_ value: JSONValue, key: String) throws(ArchitectureError) -> Double {
    guard let number = value.double, number > 0, number.isFinite else {
      throw .wrongValue(key: key, found: value.text(), expected: "a positive number")
    }
    return number
  }

  func flag(_ key: String, default fallback: Bool) throws(ArchitectureError) -> Bool {
    guard let (_, value) = present([key]) else { return fallback }
    guard let flag = value.bool else {
      throw .wrongValue(key: key, found: value.text(), expected: "true or false")
    }
    return flag
  }

  func text(_ key: String) throws(ArchitectureError) -> String? {
    guard let (_, value) = present([key]) else { return nil }
    guard let text = value.string else {
      throw .wrongValue(key: key, found: value.text(), expected: "a text")
    }
    return text
  }

  func texts(_ key: String) throws(ArchitectureError) -> [String]? {
    guard let (_, value) = present([key]) else { return nil }
    let texts = value.array?.compactMap(\.string)
    guard let texts, texts.count == value.array?.count else {
      throw .wrongValue(key: key, found: value.text(), expected: "a list of texts")
    }
    return texts
  }

  /// Refuses a value of a flag that the forward pass does not know.
  func require(_ key: String, is expected: Bool) throws(ArchitectureError) {
    guard try flag(key, default: expected) == expected else {
      throw .unsupported(key: key, found: "\(!expected)", supported: "\(expected)")
    }
  }

  func activation(_ key: String, default fallback: Activation) throws(ArchitectureError)
    -> Activation
  {
    guard let name = try text(key) else { return fallback }
    guard let activation = Activation(name: name) else {
      throw .unsupported(key: key, found: "'\(name)'", supported: Activation.names)
    }
    return activation
  }
}
