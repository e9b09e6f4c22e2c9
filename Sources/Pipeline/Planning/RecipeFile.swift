import Checkpoints
import Foundation
import Recipes

/// Recipes from files and by the names of presets.
public enum RecipeFile {
  /// Reads and checks a recipe file.
  ///
  /// - Throws: `RecipeErrors` with every diagnostic, or `CheckpointError` when it cannot be read.
  public static func load(_ path: String) throws -> Recipe {
    try RecipeParser.parse(bytes: try smallFile(path), file: path)
  }

  /// The bytes of a small text file; one byte more than the parser takes is enough to be refused.
  static func smallFile(_ path: String) throws -> [UInt8] {
    let file = try ReadOnlyFile(path: path)
    return try file.bytes(0..<min(file.size, RecipeParser.maximumBytes + 1))
  }
}
