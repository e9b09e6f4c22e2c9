import ArgumentParser
import Pith

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check an artefact: structure, every value's range, every dataset's SHA-256.")

  @Argument(help: "The artefact.")
  var artefact: String

  @Option(help: "Threads. Default: all cores.")
  var workers: Int?

  func run() throws {
    let file = try ArtefactFile(path: artefact)
    let result = try file.verify(
      pool: WorkerPool(workers: max(1, workers ?? RunOptions.defaultWorkers)))
    print(
      "\(artefact): format \(ArtefactFormat.version), \(result.weights) compressed weights, "
        + "\(result.tensors) other tensors, \(result.datasets) datasets, "
        + "\(Format.bytes(result.bytes))")
    print("recipe \(file.header.recipeName), made by pith \(file.header.toolVersion)")
    print("numeric path: \(file.header.fingerprint)")
    if result.unhashed > 0 {
      print("\(result.unhashed) datasets carry no SHA-256 (written with --no-hash)")
    }
    print("everything is as it was written")
  }
}
