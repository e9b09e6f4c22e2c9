import JSONText

/// The special tokens that tokenizer_config.json names.
public struct TokenizerRoles: Sendable, Hashable {
  public var beginning: Int32?
  public var end: Int32?
  public var padding: Int32?
  public var mask: Int32?
  /// Longest input that the configuration names; absurdly large values mean none.
  public var modelMaximumLength: Int?

  /// Reads the text of tokenizer_config.json; nil names nothing.
  init(
    configuration: String?, path: String, id: (String) -> Int32?
  ) throws(TextError) {
    guard let configuration else { return }
    let root: JSONValue
    do {
      root = try JSONParser.parse(configuration)
    } catch {
      throw .notJSON(path: path + " (tokenizer_config.json)", error: error)
    }
    func role(_ key: String) -> Int32? {
      // A name is given as text, or as an added token's object.
      guard let name = root[key]?.string ?? root[key]?["content"]?.string else { return nil }
      return id(name)
    }
    beginning = role("bos_token")
    end = role("eos_token")
    padding = role("pad_token")
    mask = role("mask_token")
    modelMaximumLength = root["model_max_length"]?.int.flatMap { $0 < 1 << 31 ? $0 : nil }
  }
}
