import Tensors

extension LanguageModel {
  /// Continues some prompts, all in one batch.
  ///
  /// - Parameters:
  ///   - prompts: at least one token each.
  ///   - maximumTokens: new tokens per prompt; fewer where the positions end.
  ///   - stops: tokens that end a continuation; the stop is kept as its last token.
  ///   - onToken: called in order with the prompt's number and each new token; false stops that
  ///     prompt.
  /// - Returns: the new tokens per prompt.
  /// - Throws: `ModelError` for an empty prompt, an encoder, tokens out of range.
  public func generate(
    _ prompts: [[Int32]], maximumTokens: Int, sampling: Sampling = .greedy,
    stops: Set<Int32> = [], onToken: (Int, Int32) -> Bool = { _, _ in true }
  ) throws -> [[Int32]] {
    try requireCausal()
    _ = try requireHead()
    for (index, prompt) in prompts.enumerated() where prompt.isEmpty {
      throw ModelError.emptyPrompt(sequence: index)
    }
    let longest = prompts.map(\.count).max() ?? 0
    let cache = KeyValueCache(
      for: description, sequences: prompts.count, capacity: longest + max(maximumTokens, 1) - 1)
    var result: [[Int32]] = Array(repeating: [], count: prompts.count)
    var next = prompts
    for step in 0..<max(maximumTokens, 0) {
      let active = next.indices.filter { !next[$0].isEmpty }
      guard !active.isEmpty else { break }
      let batch = TokenBatch(next)
      let hidden = try hiddenStates(of: batch, cache: cache)
      let lasts = active.map { batch.rows(of: $0).upperBound - 1 }
      for index in next.indices { next[index] = [] }
      try forEachLogits(of: hidden, rows: lasts) { part, logits in
        for (row, place) in part.indices.enumerated() {
          let sequence = active[place]
          let token = logits.values.withUnsafeBufferPointer { values in
            sampling.choose(
              UnsafeBufferPointer(rebasing: values[logits.range(ofRow: row)]),
              sequence: sequence, step: step)
          }
          result[sequence].append(token)
          let goesOn = onToken(sequence, token) && !stops.contains(token)
          let length = prompts[sequence].count + result[sequence].count
          if goesOn, length <= cache.capacity { next[sequence] = [token] }
        }
      }
    }
    return result
  }
}
