import Pith

/// Small texts that the program writes beside its results.
enum FileOutput {
  /// Writes a text and moves it into place.
  static func write(_ text: String, to path: String) throws {
    try ReplacementFile.write(Array(text.utf8), to: path)
  }
}
