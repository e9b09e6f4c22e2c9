import Checkpoints
import Models
import Tensors
import Text

extension SavedReference {
  /// Scores windows with a model and writes its most likely tokens of every scored position.
  ///
  /// The same model and windows give the same bytes with any number of workers. A batch of windows
  /// is held at a time.
  ///
  /// - Parameters:
  ///   - count: tokens of every position, 1 to the vocabulary's size.
  ///   - memoryLimit: hidden states and tokens of a batch take at most a quarter of it.
  ///   - progress: told how many windows are done.
  /// - Returns: the model's own scores.
  /// - Throws: `EvaluationError.tooManyTopTokens`, `ModelError`, `CheckpointError`.
  public static func write(
    _ model: LanguageModel, summary: ModelSummary, windows cut: EvaluationWindows, count: Int,
    to path: String, memoryLimit: Int? = nil, progress: (Int) -> Void = { _ in }
  ) throws -> TokenScores {
    let vocabulary = model.description.vocabularySize
    guard (1...vocabulary).contains(count) else {
      throw EvaluationError.tooManyTopTokens(count, vocabulary: vocabulary)
    }
    let windows = cut.windows
    precondition(
      windows.allSatisfy { $0.tokens.count == windows[0].tokens.count }, "windows of one length")
    let length = windows.first?.tokens.count ?? 0
    let sink = try HDF5Sink(
      path: path,
      tree: .group(
        attributes: attributes(summary, cut, vocabulary: vocabulary, count: count),
        children: Item.allCases.map { item in
          let (dtype, shape) = item.dataset(windows.count, length, cut.scoredCount, count)
          return HDF5NamedNode(
            item.rawValue, .dataset(dtype: dtype, shape: shape, attributes: [:]))
        }))
    func put<Element: BitwiseCopyable>(_ values: [Element], _ item: Item, row: Int = 0) throws {
      guard !values.isEmpty else { return }
      let (dtype, shape) = item.dataset(windows.count, length, cut.scoredCount, count)
      let bytes = Bytes(values)
      try sink.write(
        bytes.buffer, to: item.rawValue,
        at: row * dtype.bytes * shape.dimensions.dropFirst().reduce(1, *))
    }
    try put(windows.flatMap(\.tokens), .windows)
    try put(windows.map { Int32($0.firstScored) }, .firstScored)
    var scores = TokenScores()
    try WindowScoring.forEachBatch(
      windows, rowBytes: 8 * model.description.hiddenSize + 16 * count, memoryLimit: memoryLimit
    ) { batch in
      let part = Array(windows[batch])
      let found = try model.mostLikely(
        count, of: model.hiddenStates(of: TokenBatch(part.map(\.tokens))),
        targets: part.flatMap(WindowScoring.targets))
      let row = scores.count
      try put(found.tokens, .tokens, row: row)
      try put(found.logProbabilities, .logProbabilities, row: row)
      try put(found.scores.map { -$0.negativeLogLikelihood }, .targets, row: row)
      scores.negativeLogLikelihoods += found.scores.map(\.negativeLogLikelihood)
      scores.close(part)
      progress(batch.upperBound)
    }
    try sink.finish()
    return scores
  }

  private static func attributes(
    _ summary: ModelSummary, _ cut: EvaluationWindows, vocabulary: Int, count: Int
  ) -> [String: AttributeValue] {
    var result: [String: AttributeValue] = [
      "format": .string(format), "version": .int(version), "vocabulary_size": .int(vocabulary),
      "top_k": .int(count), "length": .int(cut.length), "data": .string(cut.source),
      "model": .string(summary.path), "model_stored_bytes": .int(summary.storedBytes),
      "model_bits_per_parameter": .double(summary.bitsPerParameter),
    ]
    result["model_compressed_bits_per_weight"] = summary.compressedBitsPerWeight.map { .double($0) }
    result["stride"] = cut.stride.map { .int($0) }
    result["beginning_token"] = cut.beginning.map { .int(Int($0)) }
    return result
  }
}
