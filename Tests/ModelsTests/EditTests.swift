import Architectures
import Checkpoints
import Models
import Tensors
import TestSupport
import Testing

@testable import Architectures

/// An edited model computes what the original does, to rounding.
@Suite struct EditTests {
  static let beforeFamilies = [
    "llama", "llama3", "mistral", "qwen2", "qwen3", "opt", "gpt2", "nanollama",
  ]

  struct Original {
    let source: any TensorSource
    let model: ModelDescription
    let batch: TokenBatch
    let logits: Matrix<Float>

    init(_ name: String) throws {
      let folder = name == "nanollama" ? name : "forward/" + name
      source = try CheckpointOpener.open(SharedFiles.fixture(folder + "/model.safetensors"))
      batch = TokenBatch(try Golden(name).sequences)
      (model, logits) = try EditTests.run(source, batch)
    }

    init(shared name: String) throws {
      source = try CheckpointOpener.open((SharedFiles.shared ?? "") + "/models/\(name)/model.h5")
      batch = TokenBatch([(0..<64).map { Int32($0 * 37 % 4000 + 3) }])
      (model, logits) = try EditTests.run(source, batch)
    }

    func error(after edit: ModelEdit) throws -> Double {
      let (_, found) = try EditTests.run(TransformedSource(source, edit: edit), batch)
      return relativeError(found, logits)
    }

    func norm(_ name: String) throws -> [Float] {
      try source.load(#require(source.tensor(named: name))).floats()
    }

    func rotation(_ options: RotationOptions = RotationOptions(seed: 7)) throws -> ModelEdit {
      try ModelEdit.rotation(
        of: model, configuration: source.metadata.configuration ?? "", options: options,
        norms: norm)
    }
  }

  static func run(
    _ source: any TensorSource, _ batch: TokenBatch
  ) throws -> (ModelDescription, Matrix<Float>) {
    let model = try LanguageModel(CheckpointWeights(source))
    return (model.description, try model.logits(of: model.hiddenStates(of: batch)))
  }

  /// Scales of very different sizes for every site that a neighbour can serve.
  static func scaling(_ model: ModelDescription, ties: Bool = true) -> ModelEdit {
    var edit = ModelEdit()
    for block in model.blocks {
      for (index, (site, source)) in zip(block.sites, block.scaleSources(in: model)).enumerated() {
        if case .none = source { continue }
        let normals = Philox(seed: 3).normals(
          count: site.width, tensor: UInt32(block.index * 4 + index), purpose: .sampling)
        let raw = normals.map { max(0.05, abs($0) * 4) }
        edit.scale(
          site, readers: block.linears.filter { site.readers.contains($0.module) },
          source: source, by: ties ? source.tied(raw) : raw)
      }
    }
    return edit
  }

  @Test(arguments: beforeFamilies) func foldedScalesChangeNothing(_ name: String) throws {
    let original = try Original(name)
    let edit = Self.scaling(original.model)
    #expect(edit.notes.count { $0.kind == .folded } >= 3 * original.model.blocks.count)
    #expect(try original.error(after: edit) < 1e-4)
  }

  @Test func scalesOfSharedHeadsMustAgree() throws {
    // The test above has power: without the ties the fold of shared values is wrong.
    let original = try Original("nanollama")
    let error = try original.error(after: Self.scaling(original.model, ties: false))
    #expect(error > 1e-2)
  }

  @Test func normsAfterTheSumFoldNothingButHeads() throws {
    let original = try Original("opt_after")
    let sources = original.model.blocks[0].scaleSources(in: original.model)
    guard case .none = sources[0], case .linear = sources[1] else {
      Issue.record("norms after the sum are no place for a scale")
      return
    }
    #expect(try original.error(after: Self.scaling(original.model)) < 1e-4)
    #expect(throws: ArchitectureError.self) { try original.rotation() }
  }

  @Test(arguments: beforeFamilies) func rotationsChangeNothing(_ name: String) throws {
    let original = try Original(name)
    let edit = try original.rotation()
    #expect(try original.error(after: edit) < 1e-4)
    let heads = try original.rotation(RotationOptions(residual: false, heads: true, seed: 9))
    #expect(try original.error(after: heads) < 1e-4)
    // Turned weights are other weights.
    let linear = original.model.blocks[0].attentionOutput
    let turned = try TransformedSource(original.source, edit: edit)
    let tensor = try #require(turned.tensor(named: linear.weight))
    #expect(
      relativeError(
        Matrix(
          rows: 1, columns: tensor.shape.elementCount, values: try turned.load(tensor).floats()),
        Matrix(
          rows: 1, columns: tensor.shape.elementCount, values: try original.norm(linear.weight)))
        > 0.05)
  }

  @Test(arguments: beforeFamilies) func smoothingAfterRotation(_ name: String) throws {
    let original = try Original(name)
    let rotated = try TransformedSource(original.source, edit: original.rotation())
    let both = try TransformedSource(rotated, edit: Self.scaling(original.model))
    #expect(try relativeError(Self.run(both, original.batch).1, original.logits) < 1e-4)
  }

  @Test(
    .enabled(if: SharedFiles.shared != nil, "\(SharedFiles.sharedMissing)"),
    arguments: ["tinyllama"])
  func realModels(_ name: String) throws {
    let original = try Original(shared: name)
    #expect(try original.error(after: original.rotation()) < 1e-4)
    #expect(try original.error(after: Self.scaling(original.model)) < 1e-4)
  }

  @Test func rotationsFollowTheirSeed() throws {
    let original = try Original("nanollama")
    let one = try original.rotation(RotationOptions(seed: 1))
    #expect(one == (try original.rotation(RotationOptions(seed: 1))))
    #expect(one != (try original.rotation(RotationOptions(seed: 2))))
  }

  @Test(arguments: ["gpt2", "llama3"]) func tiedHeadsAreUntied(_ name: String) throws {
    let original = try Original(name)
    try #require(original.model.head?.tied == true)
    let source = try TransformedSource(original.source, edit: original.rotation())
    #expect(source.tensor(named: "lm_head.weight") != nil)
    let (description, unused) = try ModelDescription.resolve(
      configuration: #require(source.metadata.configuration), tensors: source.tensors)
    #expect(description.head?.tied == false && unused.isEmpty)
  }

  @Test func statisticsFollowTheEdit() throws {
    let original = try Original("nanollama")
    func gathered(_ source: any TensorSource) throws -> CalibrationStatistics {
      let model = try LanguageModel(CheckpointWeights(source))
      let collector = CalibrationCollector(for: model.description)
      collector.begin(original.batch)
      _ = try model.hiddenStates(of: original.batch, observer: collector)
      return collector.statistics
    }
    let before = try gathered(original.source)
    for edit in [Self.scaling(original.model), try original.rotation()] {
      let expected = try gathered(TransformedSource(original.source, edit: edit))
      let found = before.edited(by: edit)
      for site in original.model.sites {
        let left = try #require(found.sites[site.name])
        let right = try #require(expected.sites[site.name])
        let scale = (0..<site.width).reduce(0.0) { $0 + (right.gram?[$1, $1] ?? 0) }
        let difference = zip(left.gram?.values ?? [], right.gram?.values ?? [])
          .reduce(0.0) { max($0, abs($1.0 - $1.1)) }
        #expect(difference < 1e-4 * scale)
        for (a, b) in zip(left.sums, right.sums) {
          #expect(abs(a - b) < 1e-3 * scale.squareRoot() * 8)
        }
      }
    }
  }

  @Test func anEditOfMissingTensorsIsRefused() throws {
    let original = try Original("nanollama")
    var edit = ModelEdit()
    edit.append(.scale(.outer, [1]), to: "nowhere")
    #expect(throws: ArchitectureError.self) { try TransformedSource(original.source, edit: edit) }
  }
}
