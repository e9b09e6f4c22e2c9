import Architectures
import Artefacts
import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Pipeline

@Suite struct EditPlanTests {
  private let awq = "  - smooth: {method: awq}\n  - quantize: {method: rtn, bits: 3, group: 32}"

  private func nano() throws -> any TensorSource {
    try CheckpointOpener.open(SharedFiles.fixture("nanollama/model.h5"))
  }

  @Test func whatIsMissingIsSaidWhilePlanning() throws {
    let recipe = try Sample.recipe(awq)
    let source = try nano()
    func message(_ source: any TensorSource, _ calibration: CalibrationInput?) -> String {
      Sample.message {
        _ = try Planner.plan(
          recipe, for: source, options: PlanOptions(workers: 1), calibration: calibration)
      }
    }
    #expect(message(source, Sample.calibration(for: source)) == "accepted")
    var unknown = MemorySource()
    try unknown.add("a.weight", [64, 64])
    // Without a file the text goes through the model, which has to be one that can be run.
    #expect(message(unknown, nil).contains("pith calibrate"))
    #expect(message(unknown, Sample.calibration(for: unknown)).contains("config.json"))
    let site = "model.layers.1.mlp.down_proj.weight"
    #expect(
      message(source, Sample.calibration(for: source, leavingOut: [site])).contains("down_proj"))
    #expect(message(source, Sample.calibration(for: source, widening: 1)).contains("another model"))
    #expect(
      message(source, Sample.calibration(for: source, withGram: false)).contains("Gram matrix"))
  }

  @Test func interruptedSmoothingEndsInTheSameBytes() throws {
    let source = try nano()
    let plan = try Planner.plan(
      Sample.recipe(awq), for: source, options: PlanOptions(workers: 1, durable: false),
      calibration: Sample.calibration(for: source))
    #expect(plan.edits.isEmpty && plan.smoothing != nil)
    try SharedFiles.withTemporaryFolder { folder in
      try RunTests.run(plan, folder)
      let whole = try Data(contentsOf: URL(fileURLWithPath: folder + "/out.h5"))
      try FileManager.default.removeItem(atPath: folder + "/out.h5")
      let interruption = Interruption()
      #expect(throws: PipelineError.self) {
        try RunTests.run(plan, folder, interruption: interruption) { event in
          if case .tensor(let record, _) = event, record.index == 5 { interruption.request() }
        }
      }
      let record = try RunTests.run(plan, folder, resume: true)
      #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/out.h5")) == whole)
      #expect(record.edits.contains { $0.hasPrefix("folded ") })
      let header = try ArtefactFile(path: folder + "/out.h5").header
      #expect(header.editedTensors.contains("model.layers.0.input_layernorm.weight"))
      #expect(header.calibrationHash == "0")
    }
  }

  @Test func rotationsAreSettledWhilePlanning() throws {
    let source = try nano()
    let plan = try Planner.plan(
      Sample.recipe("  - rotate: {online: true}\n" + Sample.w4), for: source,
      options: PlanOptions(workers: 1))
    #expect(plan.edits.count == 1 && plan.calibration == nil)
    let down = try #require(plan.tensors.first { $0.tensor.name.contains("down_proj") })
    #expect(down.storedType == "rotated, int4 g32")
    let other = try #require(plan.tensors.first { $0.tensor.name.contains("o_proj") })
    #expect(other.storedType == "int4 g32")
    #expect(plan.source.origin.path == source.path)
  }
}
