import Foundation
import Pith

/// GPTQ and SparseGPT beside PyTorch's way of doing them, on the same weight and Gram matrix, the
/// method alone on both sides: wall and processor time, on one core and on two.
enum SweepBenchmarks {
  ///
  /// PITH_BENCH_ONLY leaves settings out whose name does not begin with it, PITH_BENCH_ORDERS and PITH_BENCH_WORKERS
  /// name other orders and numbers of workers (`4096`, `1,2`), PITH_BENCH_ROUNDS other rounds than three.
  static func run(_ context: BenchmarkContext) throws {
    let peer = try Peer(python: context.python, script: "sweeps_torch.py", arguments: [])
    if let peer { show("peer", peer.greeting) }
    let settings = try (roundings + prunings()).filter { $0.name.hasPrefix(variable("ONLY") ?? "") }
    let rounds = numbers("ROUNDS", [3])[0]
    for order in numbers("ORDERS", [1024, 4096]) {
      let layer = try Layer(order: order, folder: context.folder)
      for workers in numbers("WORKERS", [1, 2]) {
        for setting in settings { try compare(setting, layer, workers, peer, rounds: rounds) }
      }
    }
  }

  private static func variable(_ name: String) -> String? {
    ProcessInfo.processInfo.environment["PITH_BENCH_\(name)"]
  }

  private static func numbers(_ name: String, _ usual: [Int]) -> [Int] {
    let found = (variable(name) ?? "").split(separator: ",").compactMap { Int($0) }
    return found.isEmpty ? usual : found
  }

  /// A weight and the Gram matrix of its inputs, in memory and in files.
  private struct Layer {
    let weight: Matrix<Float>
    let dense: CompressedWeight
    let gram: Matrix<Double>
    let files: String

    init(order: Int, folder: String) throws {
      let generator = Philox(seed: 8)
      weight = Matrix(
        rows: order, columns: order,
        values: generator.normals(count: order * order, tensor: 1, purpose: .sketch))
      dense = .dense(weight)
      let mix = Matrix(
        rows: order, columns: order,
        values: generator.normals(count: order * order, tensor: 2, purpose: .sketch))
      let raw = Matrix(
        rows: 2 * order, columns: order,
        values: generator.normals(count: 2 * order * order, tensor: 3, purpose: .sketch))
      let loudness = generator.normals(count: order, tensor: 4, purpose: .sketch).map {
        Float(exp(0.5 * Double($0)))
      }
      // Inputs that are mixed and of different loudness.
      var x = try raw.multiplied(by: mix)
      let share = 1.2 / Float(order).squareRoot()
      for row in 0..<x.rows {
        for column in 0..<order {
          let place = row * order + column
          x.values[place] = (raw.values[place] + share * x.values[place]) * loudness[column]
        }
      }
      let narrow = try x.multiplied(by: x, transposeSelf: true)
      gram = narrow.converted(to: Double.self)
      files = "\(folder)/weight.f32 \(folder)/gram.f32 \(order) \(order)"
      for (name, matrix) in [("weight", weight), ("gram", narrow)] {
        try matrix.values.withUnsafeBytes {
          try Data($0).write(to: URL(fileURLWithPath: "\(folder)/\(name).f32"))
        }
      }
    }
  }

  /// What is done on our side, and what the peer calls its own.
  private struct Setting {
    let name: String
    let peer: String
    let run: @Sendable (Layer, WorkerPool) throws -> CompressedWeight
  }

  private static var roundings: [Setting] {
    func ours(
      _ order: GPTQOptions.Order, _ clip: ClipSearch, refit: Bool
    ) -> @Sendable (Layer, WorkerPool) throws -> CompressedWeight {
      { layer, pool in
        var options = GPTQOptions()
        options.order = order
        options.refit = refit
        return try GPTQ.quantize(
          layer.dense, gram: layer.gram, rows: 2 * layer.weight.rows,
          scheme: IntegerScheme(bits: 4, symmetric: false, granularity: .group(128), clip: clip),
          options: options, pool: pool
        ).weight
      }
    }
    return [
      Setting(name: "GPTQ, plain", peer: "gptq plain", run: ours(.none, .none, refit: false)),
      Setting(
        name: "GPTQ, order and search", peer: "gptq best",
        run: ours(.activation, .meanSquare(), refit: false)),
      Setting(
        name: "GPTQ, order, search, refit", peer: "gptq best",
        run: ours(.activation, .meanSquare(), refit: true)),
    ]
  }

  private static func prunings() throws -> [Setting] {
    func ours(
      _ amount: PruneAmount, steps: Int, damping: Double
    ) -> @Sendable (Layer, WorkerPool) throws -> CompressedWeight {
      { layer, pool in
        var options = SparseGPTOptions()
        options.steps = steps
        options.damping = damping
        return try SparseGPT.prune(
          layer.dense, gram: layer.gram, amount: amount, options: options, pool: pool
        ).weight
      }
    }
    let amounts: [(String, PruneAmount)] = [
      ("50%", .fraction(0.5, of: .matrix)), ("2:4", try .pattern(KeepPattern(keep: 2, of: 4))),
      ("4:8", try .pattern(KeepPattern(keep: 4, of: 8))),
    ]
    return amounts.flatMap { name, amount in
      [(0, 0.01), (0, 0.02), (1, 0.01)].map { steps, damping in
        Setting(
          name: "SparseGPT \(name), steps \(steps), damping \(damping)", peer: "sparsegpt \(name)",
          run: ours(amount, steps: steps, damping: damping))
      }
    }
  }

  private static func compare(
    _ setting: Setting, _ layer: Layer, _ workers: Int, _ peer: Peer?, rounds: Int
  ) throws {
    // As the program has it: one pool for many layers of a shape.
    let pool = WorkerPool(workers: workers)
    var result: CompressedWeight?
    var ours: [Taken] = []
    var theirs: [Peer.Reply] = []
    let words = setting.peer.split(separator: " ")
    for _ in 0..<rounds {
      ours.append(try Taken.by { result = try setting.run(layer, pool) })
      if let reply = try peer?.ask("\(words[0]) \(layer.files) \(words[1]) \(workers)") {
        theirs.append(reply)
      }
    }
    let own = Taken.median(ours)
    let wall = own.wall
    let error = try result.map { try relativeError($0.decoded(), layer) } ?? .nan
    var line = "\(Format.duration(wall)), error \(Format.fixed(error, 6))"
    if !theirs.isEmpty {
      let other = Taken.median(theirs.map { Taken(wall: $0.wall, processor: $0.processor) })
      line +=
        "; peer \(Format.duration(other.wall)), \(Format.fixed(theirs[0].value, 6)): "
        + "\(Format.fixed(wall / other.wall, 3)) of its time, "
        + "\(Format.fixed(own.processor / other.processor, 3)) of its processor time, "
        + "\(Format.fixed(error / theirs[0].value, 4)) of its error"
    }
    show(
      "\(setting.name), \(layer.weight.rows)², workers \(workers)", line, bar: "at most 1/5, 1")
  }

  /// tr(D·H·Dᵀ)/tr(W·H·Wᵀ).
  private static func relativeError(_ found: Matrix<Float>, _ layer: Layer) throws -> Double {
    func energy(_ matrix: Matrix<Double>) throws -> Double {
      zip(matrix.values, try matrix.multiplied(by: layer.gram).values).reduce(0) {
        $0 + $1.0 * $1.1
      }
    }
    let wide = layer.weight.converted(to: Double.self)
    let difference = Matrix(
      rows: found.rows, columns: found.columns,
      values: zip(found.values, layer.weight.values).map { Double($0) - Double($1) })
    return try energy(difference) / energy(wide)
  }
}
