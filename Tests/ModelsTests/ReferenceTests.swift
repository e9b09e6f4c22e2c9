import Architectures
import Checkpoints
import Foundation
import Models
import Tensors
import TestSupport
import Testing

/// The real models against what transformers computed for them (`reference.h5`).
@Suite(.enabled(if: SharedFiles.shared != nil, "\(SharedFiles.sharedMissing)"))
struct ReferenceTests {
  private struct Reference {
    let weights: CheckpointWeights
    let file: any TensorSource

    init(_ name: String) throws {
      let folder = (SharedFiles.shared ?? "") + "/models/" + name
      weights = try CheckpointWeights(CheckpointOpener.open(folder + "/model.h5"))
      file = try CheckpointOpener.open(folder + "/reference.h5")
    }

    func sequences(_ name: String) throws -> [[Int32]] {
      let tensor = try #require(file.tensor(named: name))
      let values = try file.load(tensor).bytes.array(of: Int32.self)
      let length = tensor.shape.rowElementCount
      return (0..<tensor.shape.rows).map { Array(values[$0 * length..<($0 + 1) * length]) }
    }

    func matrix(_ name: String, columns: Int) throws -> Matrix<Float> {
      let values = try file.load(#require(file.tensor(named: name))).floats()
      return Matrix(rows: values.count / columns, columns: columns, values: values)
    }
  }

  @Test(arguments: ["nanollama", "tinyllama"])
  func logitsHiddenStatesAndGreedySteps(_ name: String) throws {
    let reference = try Reference(name)
    let model = try LanguageModel(reference.weights)
    let batch = TokenBatch(try reference.sequences("prompt_ids"))
    let hidden = try model.hiddenStates(of: batch)
    let width = model.description.hiddenSize
    let states = try reference.matrix("hidden_states", columns: width)
    let layers = model.description.blocks.count
    for count in 0..<layers {
      let found = try model.hiddenStates(of: batch, afterBlocks: count)
      let expected = states.rows(count * batch.rows..<(count + 1) * batch.rows)
      #expect(relativeError(found, expected) < 1e-5)
    }
    #expect(
      relativeError(hidden, states.rows(layers * batch.rows..<(layers + 1) * batch.rows)) < 1e-5)
    let logits = try reference.matrix("prompt_logits", columns: model.description.vocabularySize)
    let error = relativeError(try model.logits(of: hidden), logits)
    print(name, "logits", error)
    #expect(error < 1e-5)
    // The file's own greedy tokens are not what transformers says of these weights (its second
    // choice at several places), so that each step is compared with a pass without a cache.
    let prompts = try reference.sequences("generate_prompt_ids")
    for (index, tokens) in try model.generate(prompts, maximumTokens: 16).enumerated() {
      let text = prompts[index] + tokens
      let whole = try model.hiddenStates(of: TokenBatch([Array(text.dropLast())]))
      let scores = try model.scores(of: whole, targets: Array(text.dropFirst()))
      #expect(scores.suffix(16).map { $0?.top } == tokens.map { $0 })
    }
  }

  @Test(arguments: ["nanollama", "tinyllama"])
  func windowsAndInputStatistics(_ name: String) throws {
    let reference = try Reference(name)
    let pool = WorkerPool(workers: 2)
    let windows = try reference.sequences("window_ids")
    let targets = try reference.sequences("window_targets").flatMap { $0 }
    let runner = try BlockwiseRunner(
      reference.weights, batch: TokenBatch(windows), memoryLimit: 1 << 20, pool: pool)
    let collector = CalibrationCollector(for: runner.description, pool: pool)
    for _ in runner.description.blocks {
      try runner.advance(
        through: runner.loadBlock(from: reference.weights), observer: collector)
    }
    let scores = try runner.scores(targets: targets).map { $0?.negativeLogLikelihood ?? .nan }
    let expected = try reference.matrix("window_nll", columns: targets.count).values
    let worst = zip(scores, expected).map { abs($0 - Double($1)) }.max() ?? .infinity
    #expect(worst < 1e-4)
    let mean = scores.reduce(0, +) / Double(scores.count)
    let expectedMean = expected.reduce(0) { $0 + Double($1) } / Double(expected.count)
    print(name, "NLL worst", worst, "mean", mean, "perplexity", exp(mean))
    #expect(abs(mean - expectedMean) < 1e-6)
    var gramError = 0.0
    var sumError = 0.0
    for site in runner.description.sites {
      let statistics = try #require(collector.statistics.sites[site.name])
      #expect(statistics.rows == targets.count)
      let gram = try #require(statistics.gram).converted(to: Float.self)
      gramError = max(
        gramError,
        relativeError(gram, try reference.matrix("xtx/" + site.name, columns: site.width)))
      let sums = Matrix(rows: 1, columns: site.width, values: statistics.sums.map { Float($0) })
      sumError = max(
        sumError,
        relativeError(sums, try reference.matrix("xsum/" + site.name, columns: site.width)))
    }
    print(name, "gram", gramError, "sums", sumError)
    #expect(gramError < 1e-5)
    #expect(sumError < 1e-5)
  }
}
