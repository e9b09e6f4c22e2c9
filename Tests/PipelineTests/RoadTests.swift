import Artefacts
import Checkpoints
import Foundation
import Recipes
import Synchronization
import Tensors
import TestSupport
import Testing
import Weights

@testable import Pipeline

/// The streaming road beside its reference, the whole matrix at once.
@Suite struct RoadTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var type: DType
    var rows: Int
    var columns: Int
    var scheme: String
    var testDescription: String { "\(type) \(rows) × \(columns) \(scheme)" }
  }

  static let cases: [Case] = [DType.f32, .f16, .bf16, .f64].flatMap { type in
    [
      // A piece is 512 KiB: odd counts of rows that end in the middle of one, and one row alone.
      Case(type: type, rows: 1021, columns: 320, scheme: "bits: 4, group: 64, clip: none"),
      Case(
        type: type, rows: 333, columns: 992,
        scheme: "bits: 3, group: 32, symmetric: false, clip: none"),
      Case(type: type, rows: 1, columns: 7, scheme: "bits: 5, group: channel, clip: none"),
      Case(
        type: type, rows: 517, columns: 517, scheme: "bits: 7, group: channel, symmetric: false"),
      Case(type: type, rows: 133, columns: 992, scheme: "format: mxfp4"),
      Case(type: type, rows: 333, columns: 992, scheme: "format: q5_1"),
      Case(
        type: type, rows: 517, columns: 517,
        scheme: "format: e3m2, group: channel, packing: split, clip: none"),
      Case(
        type: type, rows: 333, columns: 992, scheme: "format: nf4, group: 16, scales: ratio"),
    ]
  }

  @Test(arguments: cases)
  func streamingGivesTheSameBytes(_ sample: Case) throws {
    try SharedFiles.withTemporaryFolder { folder in
      var source = MemorySource()
      try source.add("a.weight", [sample.rows, sample.columns], sample.type)
      let recipe = try Sample.recipe("  - quantize: {method: rtn, \(sample.scheme)}")
      let planned = try Sample.plan(recipe, source).tensors[0]
      guard case .compress(let compression) = planned.decision else {
        Issue.record("not compressed")
        return
      }
      #expect(compression.isStreamed)
      let advanced = Mutex(0)
      func job(_ name: String) throws -> TensorJob {
        TensorJob(
          planned: planned, source: source, part: try PartFile(path: folder + "/" + name),
          hashing: true, interruption: Interruption(), workFolder: folder,
          advance: { bytes in advanced.withLock { $0 += bytes } })
      }
      let streamed = try job("1").run()
      // Piece by piece, all of it is reported.
      #expect(advanced.withLock { $0 } == planned.tensor.byteCount)
      let whole = try job("2").compressWhole(compression)
      guard case .weight(let left, let leftParts) = streamed.content,
        case .weight(let right, let rightParts) = whole.content
      else {
        Issue.record("no weights")
        return
      }
      #expect(left == right)
      #expect(leftParts.map(\.path) == rightParts.map(\.path))
      for (left, right) in zip(leftParts, rightParts) {
        #expect(left.sha256 != nil && left.sha256 == right.sha256, "\(left.path)")
        #expect(left.shape == right.shape && left.attributes == right.attributes)
      }
      #expect(streamed.sourceHash == whole.sourceHash)
      let (a, b) = (streamed.error?.relativeFrobenius ?? 0, whole.error?.relativeFrobenius ?? 1)
      #expect(abs(a - b) <= 1e-12)
    }
  }

  @Test func kerasKernelsAreCompressedAlongInputsAndWrittenBackAsTheyWere() throws {
    for file in ["small.weights.h5", "small.h5", "small.keras"] {
      try SharedFiles.withTemporaryFolder { folder in
        let source = try CheckpointOpener.open(SharedFiles.fixture("keras/" + file))
        let plan = try Sample.plan(
          try Sample.recipe(
            "  - quantize: {method: rtn, bits: 8, group: channel, scales: f32, clip: none}"),
          source)
        try RunTests.run(plan, folder)
        let artefact = try ArtefactFile(path: folder + "/out.h5")
        var turned = 0
        for tensor in source.tensors where tensor.shape.rank == 4 && tensor.shape.dimensions[3] > 1
        {
          guard case .weight(let weight) = try artefact.content(of: tensor.name).kind else {
            continue
          }
          turned += 1
          // kh × kw × in × out: a scale for each output, over everything else.
          #expect(weight.rows == tensor.shape.dimensions[3])
          guard case .integer(let base)? = weight.base else { continue }
          #expect(base.scales.shape.dimensions == [weight.rows, 1])
        }
        #expect(turned > 0, "\(file)")
        let layout = try Decompression.layout(of: artefact)
        let output = try CheckpointWriter.open(
          path: folder + "/dense.safetensors", tensors: layout, metadata: artefact.denseMetadata)
        try Decompression.run(artefact, into: output, workers: 2)
        try output.sink.finish()
        let dense = try CheckpointOpener.open(folder + "/dense.safetensors")
        for tensor in source.tensors {
          let back = try #require(dense.tensor(named: tensor.name))
          #expect(back.shape == tensor.shape && back.dtype == tensor.dtype)
          guard tensor.dtype.isFloatingPoint else { continue }
          let (left, right) = (try source.load(tensor).floats(), try dense.load(back).floats())
          // Values are whole numbers from −48 to 48: 8 bits lose at most half a step. Turned the
          // wrong way they would be off by tens.
          let worst = zip(left, right).map { abs($0 - $1) }.max() ?? 0
          #expect(worst <= 0.25, "\(tensor.name): \(worst)")
        }
      }
    }
  }
}
