import Architectures
import Checkpoints
import Models
import Tensors
import TestSupport
import Testing

@Suite struct StatisticsFileTests {
  private func gathered(_ sequences: [[Int32]]) throws -> CalibrationStatistics {
    let model = try LanguageModel(Golden("qwen2").weights)
    let collector = CalibrationCollector(for: model.description, provenance: "test")
    let batch = TokenBatch(sequences)
    collector.begin(batch)
    _ = try model.hiddenStates(of: batch, observer: collector)
    return collector.statistics
  }

  @Test func whatIsWrittenIsReadAndFilesMerge() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let statistics = try gathered([[3, 4, 5, 4], [9, 8]])
      try StatisticsFile.write(statistics, to: folder + "/a.h5")
      var read = try StatisticsFile.read(folder + "/a.h5")
      #expect(read.tokenCounts == statistics.tokenCounts)
      #expect(read.tokenCounts[4] == 2)
      #expect(read.sequences == 2)
      #expect(read.provenance == "test")
      #expect(read.sites.keys.sorted() == statistics.sites.keys.sorted())
      for (name, site) in statistics.sites {
        let found = try #require(read.sites[name])
        #expect(found.rows == site.rows)
        #expect(found.readers == site.readers)
        #expect(found.gram == site.gram)
        #expect(found.sums == site.sums)
        #expect(found.absoluteSums == site.absoluteSums)
        #expect(found.squareSums == site.squareSums)
        #expect(found.maxima == site.maxima)
      }
      #expect(read.input(of: "model.layers.0.self_attn.v_proj")?.rows == 6)
      try read.merge(statistics)
      #expect(read.input(of: "model.layers.1.mlp.up_proj")?.rows == 12)
      #expect(read.tokenCounts[4] == 4)
    }
  }

  @Test func whatIsMissingIsNamed() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/b.h5"
      let attributes: [String: AttributeValue] = [
        "format": .string("pith-statistics"), "version": .int(1),
      ]
      func message(_ tree: HDF5Node) throws -> String {
        try HDF5Sink(path: path, tree: tree).finish()
        do {
          _ = try StatisticsFile.read(path)
          return "none"
        } catch let found as ArchitectureError {
          return found.description
        }
      }
      let bare = try message(.group(attributes: [:], children: []))
      #expect(
        bare.hasSuffix(
          "'format' is missing where 'pith-statistics' was expected (docs/statistics-format.md)"))
      let empty = try message(.group(attributes: attributes, children: []))
      #expect(empty.contains("'sites' is missing"))
      let site = HDF5NamedNode("a", .group(attributes: ["rows": .int(3)], children: []))
      let sites = HDF5NamedNode("sites", .group(attributes: [:], children: [site]))
      let hollow = try message(.group(attributes: attributes, children: [sites]))
      #expect(hollow.contains("'sites/a/sum_sq' is missing"))
    }
  }
}
