import Checkpoints
import Foundation
import Recipes

/// Recipes from files and by the names of presets.
public enum RecipeFile {
  /// Reads and checks a recipe file.
  ///
  /// - Throws: all that is wrong with it; a file that cannot be read is one of those things.
  public static func load(_ path: String) throws(RecipeErrors) -> Recipe {
    try RecipeParser.parse(file: path)
  }

  /// The bytes of a small text file; one byte more than the parser takes is enough to be refused.
  static func smallFile(_ path: String) throws -> [UInt8] {
    let file = try ReadOnlyFile(path: path)
    return try file.bytes(0..<min(file.size, RecipeParser.maximumBytes + 1))
  }
}
