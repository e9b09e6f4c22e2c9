import Tensors

/// The files beside a model's weights that belong to it.
public enum ModelCompanions {
  /// The names of companions that are carried along.
  public static let names = [
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "preprocessor_config.json", "quantize_config.json",
  ]

  /// Whether a file of this name is carried along.
  ///
  /// Names with a slash never are: they come from files too, and become file names.
  public static func isCompanion(_ name: String) -> Bool {
    guard !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0) else { return false }
    return names.contains(name) || name.hasPrefix("chat_template")
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
  /// Adds the companions that lie beside a file, if one of them is config.json: another folder is
  /// no model's, and a tokenizer in it is somebody else's.
  public mutating func findCompanions(besideFile path: String) throws(CheckpointError) {
    let folder = FileIO.folder(of: path)
    if FileIO.kind(of: FileIO.path(folder, "config.json")) == .file {
      try findCompanions(inFolder: folder)
    }
  }

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

  /// The string metadata apart from companions' texts, and those texts by file name.
  ///
  /// A single file carries its companions in its string metadata, under their file names; in a
  /// folder they are files.
  func unpacked() -> (strings: [String: String], texts: [String: String]) {
    var texts = strings.filter { ModelCompanions.isCompanion($0.key) }
    if texts["config.json"] == nil, let configuration { texts["config.json"] = configuration }
    return (strings.filter { !ModelCompanions.isCompanion($0.key) }, texts)
  }

  /// The string metadata with companions' texts under their file names, and the names of those
  /// that are not text or hold a NUL, which an HDF5 attribute's text cannot.
  func embedded() throws(CheckpointError) -> (strings: [String: String], leftOut: [String]) {
    var strings = self.strings
    var leftOut: [String] = []
    for (name, path) in companions.sorted(by: { $0.key < $1.key }) {
      do {
        let text = try ModelCompanions.text(ofFile: path)
        if text.utf8.contains(0) { leftOut.append(name) } else { strings[name] = text }
      } catch .opening(_, .companionNotText) {
        leftOut.append(name)
      }
    }
    return (strings, leftOut)
  }
}
