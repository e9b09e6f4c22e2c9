import Pith
import TestSupport
import Testing

/// The library as another package uses it: a matrix in, codes and an error out.
@Suite struct LibraryExample {
  @Test func quantizeAMatrix() throws {
    let values = Philox(seed: 1).normals(count: 64 * 128, purpose: .sketch)
    let original = Matrix(rows: 64, columns: 128, values: values)
    let dense = CompressedWeight.dense(original, view: WeightView(rows: 64, columns: 128))
    let scheme = try IntegerScheme(bits: 4, granularity: .group(32))
    let small = try RoundToNearest.quantize(dense, scheme: scheme)
    #expect(small.bitsPerWeight == 4.5)
    let repaired = try PlainSVD.repair(small, original: original, rank: 8)
    let error = { (weight: CompressedWeight) in
      ErrorSums.comparing(original, weight.decoded()).relativeFrobenius
    }
    #expect(error(small) < 0.12)
    #expect(error(repaired) < error(small))
  }

  @Test func openACheckpointAndPlan() throws {
    let model = try CheckpointOpener.open(SharedFiles.fixture("nanollama/model.safetensors"))
    let plan = try Planner.plan(
      try Preset.named("w4").recipe(), for: model, options: PlanOptions(workers: 2))
    #expect(plan.tensors.count == 21)
    #expect(plan.forecast.bitsPerWeight == 4.25)
  }
}
