import Architectures
import Artefacts
import Checkpoints
import Foundation
import Recipes
import Tensors
import TestSupport
import Testing

@testable import Pipeline

extension Sample {
  /// Statistics for every matrix of a source: neighbouring inputs alike, of different loudness.
  static func calibration(
    for source: any TensorSource, hash: String = "0", leavingOut: Set<String> = [],
    widening: Int = 0, withGram: Bool = true
  ) -> CalibrationInput {
    var statistics = CalibrationStatistics()
    for tensor in source.tensors where tensor.shape.rank == 2 && !leavingOut.contains(tensor.name) {
      let isTurned = tensor.attributes["layout"]?.string == "outputs_last"
      let width = tensor.shape.dimensions[isTurned ? 0 : 1] + widening
      guard width <= 1024 else { continue }
      var gram = Matrix<Double>(rows: width, columns: width, repeating: 0)
      for row in 0..<width {
        for column in 0..<width {
          gram[row, column] = Double((1 + row % 7) * (1 + column % 7))
          for _ in 0..<min(abs(row - column), 60) { gram[row, column] *= 0.6 }
        }
      }
      let site = tensor.name.hasSuffix(".weight") ? String(tensor.name.dropLast(7)) : tensor.name
      let zeros = [Double](repeating: 0, count: width)
      let squares = (0..<width).map { gram[$0, $0] }
      statistics.sites[site] = InputStatistics(
        site: site, readers: [site], rows: 4096, sums: zeros,
        absoluteSums: squares.map { ($0 * 4096).squareRoot() }, squareSums: squares,
        maxima: squares.map { Float($0.squareRoot()) }, gram: withGram ? gram : nil)
    }
    return CalibrationInput(statistics: statistics, path: "stats.h5", hash: hash)
  }

  static let gptq = "  - quantize: {method: gptq, bits: 3, group: 32, symmetric: false}"
}

@Suite struct CalibrationTests {
  private func source() throws -> MemorySource {
    var source = MemorySource()
    try source.add("a.weight", [96, 128])
    try source.add("b.weight", [300, 64], .bf16)
    return source
  }

  @Test func statisticsAreCheckedWhilePlanning() throws {
    let source = try source()
    let recipe = try Sample.recipe(Sample.gptq)
    func message(_ calibration: CalibrationInput?) -> String {
      do {
        _ = try Planner.plan(
          recipe, for: source, options: PlanOptions(workers: 1), calibration: calibration)
        return ""
      } catch { return "\(error)" }
    }
    #expect(message(Sample.calibration(for: source)) == "")
    let none = message(nil)
    #expect(none.contains("'a.weight' (96 × 128)") && none.contains("--statistics"))
    let missing = message(Sample.calibration(for: source, leavingOut: ["b.weight"]))
    #expect(missing.contains("'b.weight' (300 × 64)") && missing.contains("stats.h5"))
    let wide = message(Sample.calibration(for: source, widening: 3))
    #expect(
      wide.contains("'a.weight'") && wide.contains("131 entries") && wide.contains("128 inputs"))
    #expect(message(Sample.calibration(for: source, withGram: false)).contains("no Gram matrix"))
  }

  @Test func aPlanWithoutCalibratedStagesCarriesNoStatistics() throws {
    let source = try source()
    let plan = try Planner.plan(
      try Sample.recipe(Sample.w4), for: source, options: PlanOptions(workers: 1),
      calibration: Sample.calibration(for: source))
    #expect(plan.calibration == nil)
  }

  @Test func optionsOfAnotherMethodAreRefused() throws {
    #expect(throws: RecipeErrors.self) {
      try Sample.recipe("  - quantize: {method: rtn, bits: 4, damping: 0.1}")
    }
  }

  @Test func theForecastCountsTheGramMatrix() throws {
    let source = try source()
    let plan = try Planner.plan(
      try Sample.recipe(Sample.gptq), for: source, options: PlanOptions(workers: 1),
      calibration: Sample.calibration(for: source))
    #expect(plan.tensors[0].peakBytes >= 128 * 128 * 32)
    #expect(plan.forecast.storedBytes > 0)
  }

  @Test func workersChangeNothingOtherStatisticsAreNotResumed() throws {
    let source = try source()
    let recipe = try Sample.recipe(Sample.gptq)
    func plan(workers: Int, hash: String = "0") throws -> Plan {
      try Planner.plan(
        recipe, for: source, options: PlanOptions(workers: workers, durable: false),
        calibration: Sample.calibration(for: source, hash: hash))
    }
    try SharedFiles.withTemporaryFolder { folder in
      let one = folder + "/1"
      let two = folder + "/2"
      for (path, workers) in [(one, 1), (two, 2)] {
        try FileIO.makeFolder(path)
        try RunTests.run(plan(workers: workers), path)
      }
      let left = try Data(contentsOf: URL(fileURLWithPath: one + "/out.h5"))
      let right = try Data(contentsOf: URL(fileURLWithPath: two + "/out.h5"))
      #expect(left == right)
      #expect(try ArtefactFile(path: one + "/out.h5").header.calibrationHash == "0")
      let tool = ToolIdentity(version: "1", fingerprint: "f")
      let mine = RunIdentity(plan: try plan(workers: 1), tool: tool)
      let other = RunIdentity(plan: try plan(workers: 1, hash: "1"), tool: tool)
      #expect(mine.difference(from: other)?.what == "the statistics")
    }
  }
}
