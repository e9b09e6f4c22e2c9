import Tensors

/// The files beside a model's weights that belong to it.
public enum ModelCompanions {
  /// The names of companions that are carried along.
  public static let names = [
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "preprocessor_config.json",
  ]

  /// Whether a file of this name is carried along.
  public static func isCompanion(_ name: String) -> Bool {
    names.contains(name) || name.hasPrefix("chat_template")
  }

  /// Longer texts are refused before they are read.
  static let maximumBytes = 64 << 20

  /// A companion's text.
  ///
  /// - Throws: `CheckpointError.companionNotText` when it is not UTF-8 or longer than 64 MiB.
  public static func text(ofFile path: String) throws(CheckpointError) -> String {
    let file = try ReadOnlyFile(path: path)
    guard file.size <= maximumBytes,
      let text = String(validating: try file.bytes(0..<file.size), as: UTF8.self)
    else { throw .opening(path: path, .companionNotText) }
    return text
  }
}

extension CheckpointMetadata {
  /// Adds the companions that lie in a folder, and the text of its config.json.
  public mutating func findCompanions(inFolder folder: String) throws(CheckpointError) {
    for name in try FileIO.names(inFolder: folder) where ModelCompanions.isCompanion(name) {
      let path = FileIO.path(folder, name)
      if FileIO.kind(of: path) == .file { companions[name] = path }
    }
    if let path = companions["config.json"] {
      configuration = try ModelCompanions.text(ofFile: path)
    }
  }

  /// The text of a companion: of the file beside the weights, else of the string metadata's entry
  /// that has the file's name ("tokenizer.json") or that name without ".json".
  public func companionText(named name: String) throws(CheckpointError) -> String? {
    if let path = companions[name] { return try ModelCompanions.text(ofFile: path) }
    if let text = strings[name] { return text }
    return name.hasSuffix(".json") ? strings[String(name.dropLast(5))] : nil
  }
}
