import Architectures
import Synchronization
import Tensors

/// Gathers input statistics while a model runs.
public final class CalibrationCollector: SiteObserver {
  private struct State: Sendable {
    var statistics: CalibrationStatistics
    var batch = 0
  }
  private let state: Mutex<State>
  private let withGram: Bool
  private let sites: Set<String>?
  private let pool: WorkerPool

  /// - Parameters:
  ///   - withGram: whether Gram matrices are gathered, `width²·8` bytes per site.
  ///   - sites: the sites to watch, by name; nil watches all.
  public init(
    for description: ModelDescription, provenance: String = "", withGram: Bool = true,
    sites: Set<String>? = nil, pool: WorkerPool = .serial
  ) {
    self.sites = sites
    state = Mutex(
      State(
        statistics: CalibrationStatistics(
          tokenCounts: Array(repeating: 0, count: description.vocabularySize),
          provenance: provenance)))
    self.withGram = withGram
    self.pool = pool
  }

  /// Counts a batch's tokens and sequences; numbers the batch for error messages.
  public func begin(_ batch: TokenBatch) {
    state.withLock { state in
      state.batch += 1
      state.statistics.sequences += batch.sequences
      for token in batch.tokens where state.statistics.tokenCounts.indices.contains(Int(token)) {
        state.statistics.tokenCounts[Int(token)] += 1
      }
    }
  }

  public func observe(
    _ site: SiteDescription, _ x: UnsafePointer<Float>, rows: Int
  ) throws {
    guard sites?.contains(site.name) ?? true else { return }
    // Rows come from one thread at a time; the pool's workers see them only inside this call.
    nonisolated(unsafe) let x = x
    try state.withLock { state in
      try state.statistics.sites[
        site.name,
        default: InputStatistics(
          site: site.name, readers: site.readers, width: site.width, withGram: withGram)
      ].add(x, rows: rows, batch: state.batch, pool: pool)
    }
  }

  /// What was gathered so far.
  public var statistics: CalibrationStatistics { state.withLock { $0.statistics } }

  /// Takes a block's statistics out, so that their memory can be freed with the block.
  public func take(_ sites: [SiteDescription]) -> [String: InputStatistics] {
    state.withLock { state in
      var result: [String: InputStatistics] = [:]
      for site in sites {
        result[site.name] = state.statistics.sites.removeValue(forKey: site.name)
      }
      return result
    }
  }
}
