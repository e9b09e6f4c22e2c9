import ArgumentParser
import Pith

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check an artefact: structure, every value's range, every dataset's SHA-256.",
    discussion: """
      The masks of pruned weights are counted and held to what was asked of them: an N:M pattern in \
      every group, a fraction of every row or of the matrix to within one entry.
      """)

  @Argument(help: "The artefact.")
  var artefact: String

  @OptionGroup var threads: WorkerOptions

  @Flag(help: "Also print a line for every pruned weight.")
  var sparsity = false

  /// How many entries are zero, and where a pattern was found to hold.
  private static func line(_ weights: [ArtefactFile.SparseWeight]) -> String {
    let entries = weights.reduce(0) { $0 + $1.entries }
    let zeros = weights.reduce(0) { $0 + $1.zeros }
    let groups = weights.reduce(0) { $0 + $1.groups }
    let share = Format.fixed(100 * Double(zeros) / Double(max(1, entries)), 2)
    let holds = groups > 0 ? ", the pattern in each of \(groups) groups" : ""
    return "\(zeros) of \(entries) entries zero (\(share) %)\(holds)"
  }

  func run() throws {
    let file = try ArtefactFile(path: artefact)
    let result = try file.verify(
      pool: WorkerPool(workers: threads.workerCount))
    print(
      "\(artefact): format \(ArtefactFormat.version), \(result.weights) compressed weights, "
        + "\(result.tensors) other tensors, \(result.datasets) datasets, "
        + "\(Format.bytes(result.bytes))")
    print("recipe \(file.header.recipeName), made by pith \(file.header.toolVersion)")
    print("numeric path: \(file.header.fingerprint)")
    if sparsity {
      for weight in result.sparse { print("\(weight.name): \(Self.line([weight]))") }
    }
    let claims = Dictionary(grouping: result.sparse) { $0.claim?.description ?? "" }
    for (claim, weights) in claims.sorted(by: { $0.key < $1.key }) {
      let asked = claim.isEmpty ? "with masks that nothing was asked of" : "pruned to \(claim)"
      print("\(weights.count) weights \(asked): \(Self.line(weights))")
    }
    if result.unhashed > 0 {
      print("\(result.unhashed) datasets carry no SHA-256 (written with --no-hash)")
    }
    print("everything is as it was written")
  }
}
