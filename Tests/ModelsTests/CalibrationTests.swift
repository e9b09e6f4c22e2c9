import Architectures
import Models
import Synchronization
import Tensors
import Testing

/// Keeps every row that it sees.
final class RowKeeper: SiteObserver {
  let rows = Mutex<[String: [Float]]>([:])
  func observe(_ site: SiteDescription, _ x: UnsafePointer<Float>, rows count: Int) throws {
    let values = Array(UnsafeBufferPointer(start: x, count: count * site.width))
    rows.withLock { $0[site.name, default: []] += values }
  }
}

@Suite struct CalibrationTests {
  @Test(arguments: ["qwen3", "gpt2", "bert", "opt_after"])
  func statisticsAreTheSumsOverTheRows(_ name: String) throws {
    let golden = try Golden(name)
    let model = try LanguageModel(golden.weights)
    let batch = TokenBatch(golden.sequences)
    let keeper = RowKeeper()
    _ = try model.hiddenStates(of: batch, observer: keeper)
    let collector = CalibrationCollector(for: model.description)
    collector.begin(batch)
    _ = try model.hiddenStates(of: batch, observer: collector)
    let found = collector.statistics
    #expect(found.sequences == 3)
    #expect(found.tokenCounts.reduce(0, +) == 22)
    let rows = keeper.rows.withLock { $0 }
    #expect(Set(rows.keys) == Set(model.description.sites.map(\.name)))
    for site in model.description.sites {
      let x = try #require(rows[site.name])
      let statistics = try #require(found.sites[site.name])
      #expect(statistics.rows == batch.rows)
      #expect(statistics.readers == site.readers)
      let gram = try #require(statistics.gram)
      let count = batch.rows
      for i in 0..<site.width {
        let column = (0..<count).map { Double(x[$0 * site.width + i]) }
        #expect(abs(statistics.sums[i] - column.reduce(0, +)) < 1e-9)
        #expect(abs(statistics.absoluteSums[i] - column.reduce(0) { $0 + abs($1) }) < 1e-9)
        #expect(abs(statistics.squareSums[i] - column.reduce(0) { $0 + $1 * $1 }) < 1e-9)
        #expect(Double(statistics.maxima[i]) == column.map(abs).max())
        for j in 0..<site.width {
          let exact = (0..<count).reduce(0.0) { $0 + column[$1] * Double(x[$1 * site.width + j]) }
          let scale = (statistics.squareSums[i] * statistics.squareSums[j]).squareRoot()
          #expect(abs(gram[i, j] - exact) <= 1e-6 * scale + 1e-12)
        }
      }
    }
  }

  @Test func gramIsTheSameWithAnyNumberOfWorkersAndAcrossBlocks() throws {
    let (rows, width) = (700, 600)
    let x = Philox(seed: 4).normals(count: rows * width, purpose: .perturbation)
    var grams: [Matrix<Double>] = []
    for workers in [1, 2, 3] {
      var statistics = InputStatistics(site: "s", width: width)
      try statistics.add(x, rows: rows, batch: 0, pool: WorkerPool(workers: workers))
      grams.append(try #require(statistics.gram))
    }
    #expect(grams[1] == grams[0])
    #expect(grams[2] == grams[0])
    // An entry in an off-diagonal block, and its mirror.
    let exact = (0..<rows).reduce(0.0) {
      $0 + Double(x[$1 * width + 590]) * Double(x[$1 * width + 3])
    }
    #expect(abs(grams[0][590, 3] - exact) < 1e-3)
    #expect(grams[0][3, 590] == grams[0][590, 3])
  }

  @Test func mergingEqualsOneRunAndDisagreementIsRefused() throws {
    let x = Philox(seed: 8).normals(count: 512 * 10, purpose: .perturbation)
    var whole = InputStatistics(site: "a", width: 10)
    var first = whole
    var second = whole
    try whole.add(x, rows: 512, batch: 0)
    try first.add(x, rows: 256, batch: 0)
    try x.withUnsafeBufferPointer {
      try second.add(try #require($0.baseAddress) + 2560, rows: 256, batch: 1)
    }
    try first.merge(second)
    #expect(first.gram == whole.gram)
    #expect(first.rows == 512)
    #expect(first.maxima == whole.maxima)
    #expect(throws: ArchitectureError.statisticsDisagree(site: "a", left: 10, right: 9)) {
      try first.merge(InputStatistics(site: "a", width: 9))
    }
    let bad: [Float] = [1, .nan]
    #expect(throws: ArchitectureError.notFinite(site: "a", batch: 7)) {
      var statistics = InputStatistics(site: "a", width: 2)
      try statistics.add(bad, rows: 1, batch: 7)
    }
  }
}
