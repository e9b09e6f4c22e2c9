import Checkpoints
import Evaluation
import Foundation
import Models
import Tensors
import TestSupport
import Testing

@Suite struct SavedReferenceTests {
  private static let summary = ModelSummary(
    path: "nanollama", storedBytes: 1, bitsPerParameter: 16, compressedBitsPerWeight: nil)

  /// Saves the dense model's reference and hands it to a body with its scores.
  private func withSaved(
    _ count: Int, _ windows: EvaluationWindows, workers: Int = 1,
    _ body: (SavedReference, TokenScores) throws -> Void
  ) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/ref.h5"
      let scores = try SavedReference.write(
        Nano.model(workers: workers), summary: Self.summary, windows: windows, count: count,
        to: path)
      #expect(SavedReference.isReference(path))
      try body(SavedReference(path), scores)
    }
  }

  @Test func theWholeVocabularyGivesTheLiveDivergence() throws {
    let cut = try Nano.windows(.init(sequences: 8))
    let (model, reference) = (try Nano.model(bits: 3), try Nano.model())
    let vocabulary = model.description.vocabularySize
    let live = try WindowScoring.run([model], reference: reference, windows: cut.windows)[0]
    try withSaved(vocabulary, cut) { saved, own in
      let found = try WindowScoring.run(model, saved: saved, windows: cut.windows)
      #expect(found.savedTokens == nil)
      #expect(found.offsets == live.offsets)
      #expect(zip(found.divergences, live.divergences).allSatisfy { abs($0 - $1) < 1e-5 })
      #expect(found.agreements == live.agreements)
      for (saved, live) in [
        (found.negativeLogLikelihoods, live.negativeLogLikelihoods),
        (found.referenceNegativeLogLikelihoods, live.referenceNegativeLogLikelihoods),
        (own.negativeLogLikelihoods, live.referenceNegativeLogLikelihoods),
      ] {
        #expect(zip(saved, live).allSatisfy { abs($0 - $1) < 1e-5 })
      }
    }
  }

  /// A lower bound on every token, and more tokens bring it nearer: of 2048, 64 keep 85 % of this
  /// model's mean divergence, 256 keep 95 %.
  @Test func topTokensGiveALowerBound() throws {
    let cut = try Nano.windows(.init(sequences: 16))
    let (model, reference) = (try Nano.model(bits: 3), try Nano.model())
    let live = try WindowScoring.run([model], reference: reference, windows: cut.windows)[0]
    func mean(_ scores: TokenScores) -> Double {
      scores.divergences.reduce(0, +) / Double(scores.count)
    }
    var fractions: [Double] = []
    for count in [1, 8, 64, 256] {
      try withSaved(count, cut) { saved, _ in
        let found = try WindowScoring.run(model, saved: saved, windows: cut.windows)
        #expect(found.savedTokens == count)
        #expect(zip(found.divergences, live.divergences).allSatisfy { $0 <= $1 + 1e-5 })
        #expect(found.agreements == live.agreements)
        fractions.append(mean(found) / mean(live))
      }
    }
    #expect(zip(fractions, fractions.dropFirst()).allSatisfy { $0 < $1 }, "\(fractions)")
    #expect(fractions[1] < 0.8 && fractions[2] > 0.8, "\(fractions)")
    #expect(fractions[3] > 0.9 && fractions[3] < 1, "\(fractions)")
  }

  /// Tiles, the file and the bucket against whole rows in f64.
  @Test func lumpingEqualsWholeRows() throws {
    let cut = try Nano.windows(.init(sequences: 2))
    let (model, reference) = (try Nano.model(bits: 3), try Nano.model())
    let batch = TokenBatch(cut.windows.map(\.tokens))
    let q = try model.logits(of: model.hiddenStates(of: batch))
    let p = try reference.logits(of: reference.hiddenStates(of: batch))
    try withSaved(64, cut) { saved, _ in
      let found = try WindowScoring.run(model, saved: saved, windows: cut.windows)
      var index = 0
      for (number, window) in cut.windows.enumerated() {
        for position in 0..<window.tokens.count - 1 {
          let row = number * window.tokens.count + position
          let (a, b) = (probabilities(p, row), probabilities(q, row))
          let best = a.indices.sorted { a[$0] > a[$1] }.prefix(64)
          var expected = best.reduce(0) { $0 + a[$1] * log(a[$1] / b[$1]) }
          let rest = (
            1 - best.reduce(0) { $0 + a[$1] }, 1 - best.reduce(0) { $0 + b[$1] }
          )
          expected += rest.0 * log(rest.0 / rest.1)
          #expect(abs(found.divergences[index] - expected) < 1e-5)
          index += 1
        }
      }
      #expect(index == found.count)
    }
  }

  private func probabilities(_ logits: Matrix<Float>, _ row: Int) -> [Double] {
    let values = logits.values[logits.range(ofRow: row)].map { Double($0) }
    let largest = values.max() ?? 0
    let sum = values.reduce(0) { $0 + exp($1 - largest) }
    return values.map { exp($0 - largest) / sum }
  }

  @Test func aModelDoesNotDivergeFromItsOwnReference() throws {
    let cut = try Nano.windows(.init(sequences: 8))
    try withSaved(64, cut) { saved, own in
      let found = try WindowScoring.run(Nano.model(), saved: saved, windows: cut.windows)
      #expect(found.divergences.allSatisfy { $0 == 0 })
      #expect(found.agreements.allSatisfy { $0 })
      #expect(found.negativeLogLikelihoods == own.negativeLogLikelihoods)
      #expect(found.referenceNegativeLogLikelihoods == own.negativeLogLikelihoods)
    }
  }

  /// Every token's place against a sort of whole rows.
  @Test func theFileHoldsTheLikeliestTokensInOrder() throws {
    let cut = try Nano.windows(.init(sequences: 2))
    let model = try Nano.model()
    let hidden = try model.hiddenStates(of: TokenBatch(cut.windows.map(\.tokens)))
    let logits = try model.logits(of: hidden)
    try withSaved(20, cut) { saved, _ in
      let source = try CheckpointOpener.open(saved.path)
      let tensor = try #require(source.tensor(named: "top_tokens"))
      let tokens = try source.load(tensor).bytes.array(of: Int32.self)
      var row = 0
      for (index, window) in cut.windows.enumerated() {
        for position in 0..<window.tokens.count - 1 {
          let start = logits.range(ofRow: index * window.tokens.count + position).lowerBound
          let order = (0..<model.description.vocabularySize).sorted {
            let (a, b) = (logits.values[start + $0], logits.values[start + $1])
            return a == b ? $0 < $1 : a > b
          }
          // Other tiles round otherwise: near ties may change places.
          let found = tokens[row * 20..<(row + 1) * 20].map { logits.values[start + Int($0)] }
          let expected = order.prefix(20).map { logits.values[start + $0] }
          #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-4 })
          row += 1
        }
      }
      #expect(row * 20 == tokens.count)
    }
  }

  @Test func otherWindowsAreRefused() throws {
    let cut = try Nano.windows(.init(length: 64, sequences: 4))
    try withSaved(4, cut) { saved, _ in
      let vocabulary = saved.vocabulary
      try saved.check(cut.windows, vocabulary: vocabulary)
      var changed = cut.windows
      changed[2].tokens[5] ^= 1
      let shorter = try Nano.windows(.init(length: 32, sequences: 4)).windows
      let strided = try Nano.windows(.init(length: 64, sequences: 4, stride: 32)).windows
      for (windows, words) in [
        (changed, "position 5 of window 2"), (shorter, "4 windows of 32 tokens"),
        (Array(cut.windows.dropLast()), "3 windows of 64 tokens"), (strided, "window 1"),
      ] {
        do {
          _ = try WindowScoring.run(Nano.model(), saved: saved, windows: windows)
          Issue.record("no error")
        } catch let error as EvaluationError {
          #expect("\(error)".contains(words) && "\(error)".contains(saved.path), "\(error)")
        }
      }
      #expect(throws: ModelError.differentVocabularies(model: 7, reference: vocabulary)) {
        try saved.check(cut.windows, vocabulary: 7)
      }
    }
  }

  @Test func otherFilesAreNoReferences() throws {
    #expect(!SavedReference.isReference(Nano.folder))
    #expect(!SavedReference.isReference(Nano.folder + "/model.h5"))
    #expect(!SavedReference.isReference(Nano.folder + "/model.safetensors"))
    #expect(throws: EvaluationError.self) { try SavedReference(Nano.folder + "/model.h5") }
    #expect(throws: EvaluationError.self) {
      try withSaved(0, Nano.windows(.init(sequences: 1))) { _, _ in }
    }
  }

  @Test func damagedReferencesAreNamed() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/ref.h5"
      var attributes: [String: AttributeValue] = [
        "format": .string(SavedReference.format), "version": .int(2),
        "vocabulary_size": .int(10), "top_k": .int(11),
      ]
      func expect(_ words: String, _ tensors: [HDF5SinkTensor] = []) throws {
        let sink = try HDF5Sink(path: path, tensors: tensors, attributes: attributes)
        try sink.finish()
        do {
          _ = try SavedReference(path)
          Issue.record("no error")
        } catch let error as EvaluationError {
          #expect("\(error)".contains(words) && "\(error)".contains(path), "\(error)")
        }
      }
      try expect("'version' is 2, expected 1")
      attributes["version"] = .int(1)
      try expect("'top_k' is 11")
      attributes["top_k"] = .int(2)
      try expect("'window_ids' is missing")
      try expect(
        "'window_ids' is f32 of [3]", [HDF5SinkTensor(name: "window_ids", dtype: .f32, shape: [3])])
    }
  }

  @Test func workersDoNotChangeTheBytes() throws {
    let cut = try Nano.windows(.init(sequences: 40))
    func bytes(_ workers: Int) throws -> Data {
      var result = Data()
      try withSaved(16, cut, workers: workers) { saved, _ in
        result = try Data(contentsOf: URL(fileURLWithPath: saved.path))
      }
      return result
    }
    let one = try bytes(1)
    #expect(one.count > 40 * 100 * 16 * 8)
    #expect(try bytes(2) == one)
  }
}
