import Artefacts
import LowRank

/// Folds the low-rank paths of an artefact's weights into their bases, and leaves an artefact.
public enum MergeRun {
  /// What became of one weight.
  public struct Outcome: Sendable {
    public var name: String
    /// For a base of codes; nil for a dense one, in which nothing is lost.
    public var report: PathMerging.Report?
  }

  /// Merges every weight with paths; other tensors go over as they are.
  ///
  /// - Parameter intoCodes: whether quantized bases are merged too; otherwise they keep their paths.
  /// - Throws: `ArtefactError`, `PipelineError`, `CheckpointError`.
  public static func run(
    _ artefact: ArtefactFile, output: String, intoCodes: Bool, workers: Int, durable: Bool = true
  ) throws -> [Outcome] {
    var outcomes: [Outcome] = []
    try ArtefactRewrite.run(artefact, output: output, workers: workers, durable: durable) {
      name, content in
      guard case .weight(let weight) = content.kind, !weight.lowRank.isEmpty,
        intoCodes || weight.base?.isQuantized != true
      else { return content.kind }
      let merged = PathMerging.merged(weight)
      outcomes.append(Outcome(name: name, report: merged.report))
      return .weight(merged.weight)
    }
    return outcomes
  }
}
