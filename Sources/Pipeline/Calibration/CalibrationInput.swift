import Architectures
import Checkpoints
import Digests
import Tensors
import Weights

/// The statistics that a plan's calibrated stages use, and what identifies them.
public struct CalibrationInput: Sendable {
  public let statistics: CalibrationStatistics
  /// What messages call them.
  public let path: String
  /// SHA-256 of the file.
  public let hash: String

  public init(statistics: CalibrationStatistics, path: String, hash: String) {
    self.statistics = statistics
    self.path = path
    self.hash = hash
  }

  /// Reads a statistics file (docs/statistics-format.md).
  ///
  /// - Throws: as `StatisticsFile.read`; `PipelineError.file` when it cannot be read.
  public static func read(_ path: String) throws -> CalibrationInput {
    let statistics = try StatisticsFile.read(path)
    return CalibrationInput(statistics: statistics, path: path, hash: try hash(of: path))
  }

  /// SHA-256 of a file, a mebibyte at a time.
  private static func hash(of path: String) throws(PipelineError) -> String {
    do {
      let file = try ReadOnlyFile(path: path)
      var hash = SHA256()
      let length = 1 << 20
      try withUnsafeTemporaryAllocation(byteCount: length, alignment: 64) { buffer in
        for start in stride(from: 0, to: file.size, by: length) {
          let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer[..<min(length, file.size - start)])
          try file.read(at: start, into: part)
          hash.update(UnsafeRawBufferPointer(part))
        }
      }
      return hash.hexadecimal()
    } catch { throw .file(path: path, reason: "can't be read") }
  }

  /// The statistics of the input that a tensor multiplies, checked against its weight.
  ///
  /// - Throws: `PipelineError.statisticsMissing`, `.statisticsWithoutGram`, and
  ///   `ArchitectureError.statisticsOfAnotherModel`.
  func checkedInput(of tensor: String, view: WeightView) throws -> InputStatistics {
    guard let input = try statistics.input(ofTensor: tensor, columns: view.columns) else {
      throw PipelineError.statisticsMissing(
        tensor: tensor, rows: view.rows, columns: view.columns, path: path)
    }
    guard input.hasGram else {
      throw PipelineError.statisticsWithoutGram(
        tensor: tensor, columns: view.columns, path: path)
    }
    return input
  }
}
