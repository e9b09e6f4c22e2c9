import Foundation

extension Tokenizer {
  /// The tokenizer that belongs to a model: the file beside it, else the text embedded in it.
  ///
  /// - Parameters:
  ///   - model: The path of a model's folder or of a file in it.
  ///   - embedded: The text of the tokenizer.json that an artefact carries.
  /// - Returns: nil where there is neither.
  public static func belonging(
    to model: String, embedded: String? = nil
  ) throws(TextError) -> Tokenizer? {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: model, isDirectory: &isFolder)
    let url = URL(fileURLWithPath: model)
    let folder = exists && isFolder.boolValue ? url : url.deletingLastPathComponent()
    let file = folder.appendingPathComponent("tokenizer.json").path
    if FileManager.default.fileExists(atPath: file) { return try Tokenizer(path: file) }
    guard let embedded else { return nil }
    return try Tokenizer(json: embedded, path: model + " (embedded tokenizer)")
  }

  /// The tokenizer of a tokenizer.json, with the tokenizer_config.json beside it if there is one.
  public convenience init(path: String) throws(TextError) {
    let json = try TextFile.contents(path)
    let configuration =
      URL(fileURLWithPath: path).deletingLastPathComponent()
      .appendingPathComponent("tokenizer_config.json").path
    let hasConfiguration = FileManager.default.fileExists(atPath: configuration)
    try self.init(
      json: json, path: path,
      configuration: hasConfiguration ? try TextFile.contents(configuration) : nil)
  }
}
