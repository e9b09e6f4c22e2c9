import JSONText

/// How a model's keys and values are kept while it runs, where they are rounded.
public struct KeyValueRecord: Sendable, Hashable {
  /// The scheme, in a few words.
  public var scheme: String
  /// What the cache takes; nil where the model's heads and layers are not known.
  public var size: Size?

  /// What a cache that holds one sequence takes.
  public struct Size: Sendable, Hashable {
    /// The sequence's tokens: as many as the model has positions.
    public var tokens: Int
    /// Bits of a rounded number, its share of scales and minima counted.
    public var bitsPerNumber: Double
    /// All numbers as f16.
    public var denseBytes: Int
    /// As the scheme keeps them.
    public var storedBytes: Int

    public init(tokens: Int, bitsPerNumber: Double, denseBytes: Int, storedBytes: Int) {
      self.tokens = tokens
      self.bitsPerNumber = bitsPerNumber
      self.denseBytes = denseBytes
      self.storedBytes = storedBytes
    }
  }

  public init(scheme: String, size: Size? = nil) {
    self.scheme = scheme
    self.size = size
  }

  /// The record as JSON; what is not known is left out.
  public var json: JSONValue {
    var object = JSONObject()
    object["scheme"] = JSONValue(scheme)
    if let size {
      object["tokens"] = JSONValue(size.tokens)
      object["bits_per_number"] = JSONValue(size.bitsPerNumber)
      object["dense_bytes"] = JSONValue(size.denseBytes)
      object["stored_bytes"] = JSONValue(size.storedBytes)
    }
    return .object(object)
  }
}
