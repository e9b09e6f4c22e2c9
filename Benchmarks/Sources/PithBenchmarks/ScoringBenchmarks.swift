import Foundation
import Pith

/// Tokens per second of scoring windows: dense and 4-bit weights, sgemm alone, PyTorch.
///
/// Each round measures all sides once, one after the other, so that what else the machine does
/// meets them alike; figures are medians over the rounds. PITH_BENCH_WORKERS asks for one number of
/// workers instead of 1 and 2, PITH_BENCH_WINDOWS for another number of windows.
enum ScoringBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let path = try ScoringModel.path(context)
    let opened = try OpenedModel.open(path)
    let model = opened.description
    let length = min(512, model.maximumPositions)
    // About 3 × 10¹¹ products a run.
    let windows = setting("WINDOWS") ?? min(16, max(4, 400_000_000 / opened.parameterCount))
    let sequences = (0..<windows).map { (window: Int) -> [Int32] in
      (0..<length).map { Int32((window * 7919 + $0 * 104_729) % model.vocabularySize) }
    }
    show("model", (path as NSString).lastPathComponent + ", \(windows) windows of \(length)")
    show("numeric path", NumericFingerprint.current.text)
    for workers in setting("WORKERS").map({ [$0] }) ?? [1, 2] {
      let pool = WorkerPool(workers: workers)
      let dense = try LanguageModel(opened.weights, pool: pool)
      let codes = try LanguageModel(FourBitWeights(base: opened.weights), pool: pool)
      let products = Products(model, rows: length * windows)
      let peer = try Peer(
        python: context.python, script: "score_transformers.py",
        arguments: [path, "\(workers)", "\(windows)", "\(length)"])
      var (ours, four, alone, theirs, forward) = (
        [Taken](), [Taken](), [Taken](), [Taken](), [Taken]()
      )
      var means = (ours: Double.nan, theirs: Double.nan)
      for round in 0..<4 {
        var found: [[Double]] = []
        let first = try Taken.by { found = try dense.negativeLogLikelihoods(of: sequences) }
        let second = try Taken.by { _ = try codes.negativeLogLikelihoods(of: sequences) }
        let third = Taken.by { products.run(pool: pool) }
        let reply = try peer?.ask("score")
        let logits = try peer?.ask("forward")
        let values = found.flatMap { $0 }
        means = (values.reduce(0, +) / Double(values.count), reply?.value ?? .nan)
        // The first round warms caches and does not count.
        guard round > 0 else { continue }
        ours.append(first)
        four.append(second)
        alone.append(third)
        if let reply { theirs.append(Taken(wall: reply.wall, processor: reply.processor)) }
        if let logits { forward.append(Taken(wall: logits.wall, processor: logits.processor)) }
      }
      print("  \(workers) worker\(workers == 1 ? "" : "s")")
      let tokens = Double(windows * length)
      let mine = Taken.median(ours)
      rate("Pith, f32", tokens, mine)
      let quarter = Taken.median(four)
      rate("Pith, 4 bits, groups of 128", tokens, quarter)
      let bound = Taken.median(alone)
      rate("sgemm alone", tokens, bound)
      ratio("f32 of sgemm alone", bound, mine, bar: ">= 0.7")
      ratio("4 bits of f32", mine, quarter, bar: ">= 0.9")
      try generation(dense, codes, sequences[0], peer)
      guard let peer else { continue }
      let other = Taken.median(theirs)
      rate("PyTorch, scores (batches of \(peer.greeting))", tokens, other)
      rate("PyTorch, logits only", tokens, Taken.median(forward))
      ratio("Pith against PyTorch, scores", other, mine, bar: ">= 1.8")
      ratio("Pith's scores against PyTorch's logits only", Taken.median(forward), mine)
      show(
        "mean -log p, ours and theirs",
        Format.fixed(means.ours, 6) + ", " + Format.fixed(means.theirs, 6))
    }
  }

  private static func setting(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment["PITH_BENCH_" + name].flatMap { Int($0) }
  }

  private static func generation(
    _ dense: LanguageModel, _ codes: LanguageModel, _ sequence: [Int32], _ peer: Peer?
  ) throws {
    let prompt = Array(sequence.prefix(16))
    for (name, model) in [("4 bits", codes), ("f32", dense)] {
      let taken = try Taken.median(
        (0..<3).map { _ in
          try Taken.by { _ = try model.generate([prompt], maximumTokens: 32) }
        })
      rate("32 tokens one by one, \(name)", 32, taken)
    }
    if let peer {
      let taken = try (0..<3).map { _ in try peer.ask("tokens 32") }
        .map { Taken(wall: $0.wall, processor: $0.processor) }
      rate("32 tokens one by one, PyTorch f32", 32, Taken.median(taken))
    }
  }

  private static func rate(_ name: String, _ tokens: Double, _ taken: Taken) {
    show(
      name,
      "\(Format.fixed(tokens / taken.wall, 0)) tokens/s "
        + "(\(Format.fixed(taken.processor / tokens * 1e6, 1)) us of processor time a token)")
  }

  /// How much faster the second is, by the wall and by processor time.
  private static func ratio(_ name: String, _ slow: Taken, _ fast: Taken, bar: String? = nil) {
    show(
      name,
      "\(Format.fixed(slow.wall / fast.wall, 2)) "
        + "(processor time \(Format.fixed(slow.processor / fast.processor, 2)))", bar: bar)
  }
}

/// The products of the linear layers and the head and nothing else: sgemm's bound for scoring.
struct Products {
  private let shapes: [(outputs: Int, inputs: Int)]
  private let rows: Int
  private let data: [Float]
  /// Rows per call: more gain nothing, as packing has long been paid for.
  private static let part = 1024

  init(_ model: ModelDescription, rows: Int) {
    shapes =
      model.blocks.flatMap(\.linears).map { ($0.outputs, $0.inputs) }
      + [(model.vocabularySize, model.hiddenSize)]
    self.rows = rows
    let part = min(Self.part, rows)
    data = [Float](
      repeating: 0.5, count: shapes.map { max($0.outputs * $0.inputs, part * $0.inputs) }.max() ?? 0
    )
  }

  func run(pool: WorkerPool) {
    let part = min(Self.part, rows)
    pool.forEach((rows + part - 1) / part) { (_: Int) -> Void in
      var result = [Float](repeating: 0, count: part * 4096)
      for (outputs, inputs) in shapes {
        for first in stride(from: 0, to: outputs, by: 4096) {
          BLAS.gemm(
            m: part, n: min(4096, outputs - first), k: inputs, alpha: 1, a: data, lda: inputs,
            transposeA: false, b: data, ldb: inputs, transposeB: true, beta: 0, c: &result,
            ldc: 4096)
        }
      }
    }
  }
}
