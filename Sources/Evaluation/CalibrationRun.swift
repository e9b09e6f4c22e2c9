import Architectures
import Foundation
import Models
import Tensors

/// Gathers the statistics of every linear layer's input: one block at a time over all sequences.
public enum CalibrationRun {
  /// What a run took besides its statistics.
  public struct Summary: Sendable, Hashable {
    public var sequences: Int
    public var tokens: Int
    public var sites: Int
    public var seconds: Double
    /// Whether the hidden states went through a file.
    public var spilled: Bool
    /// Sites that saw fewer rows than they have inputs: their Gram matrices are singular.
    public var shortSites: Int
  }

  /// The statistics of a model on some sequences.
  ///
  /// Only one block's weights are in memory, and the hidden states, under the limit; statistics
  /// take width² · 8 bytes a site.
  ///
  /// - Parameters:
  ///   - sequences: tokens, of unequal lengths if need be; there is no padding.
  ///   - memoryLimit: bytes that hidden states may take; more go to a file.
  ///   - provenance: what the tokens came from, for reports.
  ///   - progress: told how many blocks are done.
  /// - Throws: `ModelError`, and `ArchitectureError.notFinite` naming layer and batch.
  public static func run(
    _ provider: any WeightProvider, sequences: [[Int32]], provenance: String,
    memoryLimit: Int? = nil, pool: WorkerPool, progress: (Int) -> Void = { _ in }
  ) throws -> (statistics: CalibrationStatistics, summary: Summary) {
    let clock = ContinuousClock()
    let start = clock.now
    let batch = TokenBatch(sequences)
    let runner = try BlockwiseRunner(
      provider, batch: batch, memoryLimit: memoryLimit ?? .max, pool: pool)
    let collector = CalibrationCollector(
      for: provider.description, provenance: provenance, pool: pool)
    collector.begin(batch)
    for index in provider.description.blocks.indices {
      let block = try runner.loadBlock(from: provider)
      if index + 1 < provider.description.blocks.count {
        try runner.advance(through: block, observer: collector)
      } else {
        // Nobody asks for what comes after the last block.
        try runner.observe(block, collector)
      }
      progress(index + 1)
    }
    let statistics = collector.statistics
    let parts = (clock.now - start).components
    return (
      statistics,
      Summary(
        sequences: batch.sequences, tokens: batch.rows, sites: statistics.sites.count,
        seconds: Double(parts.seconds) + Double(parts.attoseconds) * 1e-18,
        spilled: runner.isSpilled,
        shortSites: statistics.sites.values.count { $0.rows < $0.width })
    )
  }

  /// The model's own samples: what it says after its beginning token, drawn at temperature 1.
  ///
  /// - Parameter beginning: the token to start from.
  /// - Throws: `ModelError` for a model that cannot continue a text.
  public static func ownSamples(
    of model: LanguageModel, beginning: Int32, sequences: Int, length: Int, seed: UInt64,
    progress: (Int) -> Void = { _ in }
  ) throws -> [[Int32]] {
    try EvaluationData.check(length, for: model.description)
    let sampling = try Sampling(temperature: 1, seed: seed)
    var seen = 0
    let new = try model.generate(
      Array(repeating: [beginning], count: sequences), maximumTokens: length - 1,
      sampling: sampling
    ) { sequence, _ in
      if sequence == 0 {
        seen += 1
        progress(seen)
      }
      return true
    }
    return new.map { [beginning] + $0 }
  }
}
