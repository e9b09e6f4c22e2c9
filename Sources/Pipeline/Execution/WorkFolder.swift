import Artefacts
import Foundation

/// The folder beside the target that holds a run's parts and journal until the output is complete.
struct WorkFolder: Sendable {
  let path: String

  /// The folder that belongs to an output file.
  init(output: String) { path = output + ".pith-work" }

  var journalPath: String { path + "/journal.jsonl" }

  /// The output while it is put together.
  var assemblyPath: String { path + "/output.part" }

  /// The part file of a tensor.
  func partPath(index: Int) -> String { path + "/\(index).part" }

  var exists: Bool { FileManager.default.fileExists(atPath: path) }

  /// Bytes on the disk that belong to an unfinished run.
  var heldBytes: Int {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return files.reduce(0) { sum, file in
      var status = stat()
      return stat(path + "/" + file, &status) == 0 ? sum + Int(status.st_blocks) * 512 : sum
    }
  }

  func create() throws(PipelineError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw .file(path: path, reason: "cannot be made: \(error.localizedDescription)")
    }
  }

  /// Removes the folder and what the run left in it, and nothing else: a file that Pith did not
  /// write stays, and so does the folder then.
  func remove() {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for file in files where file.hasSuffix(".part") || file == "journal.jsonl" {
      try? FileManager.default.removeItem(atPath: path + "/" + file)
    }
    rmdir(path)
  }

  /// Whether a finished tensor's part is there, whole.
  func holdsPart(of tensor: FinishedTensor) -> Bool {
    guard let file = tensor.entry.datasets.first?.location.file else { return true }
    var status = stat()
    return stat(file, &status) == 0 && Int(status.st_size) >= tensor.partBytes
  }
}
