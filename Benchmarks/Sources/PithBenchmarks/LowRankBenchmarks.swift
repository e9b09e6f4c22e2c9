import Foundation
import Pith

/// The decompositions against peft and the published route, on the same matrices, one core.
///
/// All figures are processor time; errors are compared beside them, since speed for a larger error
/// would be no speed.
enum LowRankBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let peer = try Peer(
      python: context.python, script: "low_rank_peft.py", arguments: [])
    if let peer { show("peer", peer.greeting) }
    for (rows, columns, rank) in [(576, 1536, 64), (1024, 1024, 64), (2048, 2048, 128)] {
      try pissa(matrix(rows, columns), rank: rank, context, peer)
    }
    try wholeModel(context, peer)
    try exact(context, peer)
    try eora(context, peer)
  }

  private static func pissa(
    _ weight: Matrix<Float>, rank: Int, _ context: BenchmarkContext, _ peer: Peer?
  ) throws {
    let file = context.folder + "/weight.f32"
    try write(weight, to: file)
    var (ours, theirs): ([Taken], [Taken]) = ([], [])
    var norms = (ours: 0.0, theirs: 0.0)
    // Each side's first round takes its memory from the system and does not count.
    for round in 0...9 {
      var left = weight
      let taken = try Taken.by {
        let factors = try PrincipalComponents.fast(weight, rank: rank)
        left = try factors.residual(of: weight)
      }
      norms.ours = norm(left)
      let reply = try peer?.ask("pissa \(file) \(weight.rows) \(weight.columns) \(rank)")
      guard round > 0 else { continue }
      ours.append(taken)
      if let reply {
        theirs.append(Taken(wall: reply.wall, processor: reply.processor))
        norms.theirs = reply.value
      }
    }
    report(
      "fast PiSSA \(weight.rows) × \(weight.columns), rank \(rank)", Taken.median(ours),
      theirs.isEmpty ? nil : Taken.median(theirs), errors: norms, bar: "at most 1/4 of peft's")
  }

  /// All linear layers of the model that PITH_BENCH_MODEL names, rank 64.
  private static func wholeModel(_ context: BenchmarkContext, _ peer: Peer?) throws {
    guard let path = context.model else { return }
    let source = try CheckpointOpener.open(path)
    var (ours, theirs) = (0.0, 0.0)
    var norms = (ours: 0.0, theirs: 0.0)
    var count = 0
    let file = context.folder + "/weight.f32"
    for tensor in source.tensors where tensor.name.hasSuffix("_proj.weight") {
      let dimensions = tensor.shape.dimensions
      guard dimensions.count == 2 else { continue }
      let values = try source.load(tensor).floats()
      let weight = Matrix(rows: dimensions[0], columns: dimensions[1], values: values)
      var left = weight
      ours +=
        try Taken.by {
          left = try PrincipalComponents.fast(weight, rank: 64).residual(of: weight)
        }.processor
      norms.ours += norm(left)
      try write(weight, to: file)
      if let reply = try peer?.ask("pissa \(file) \(weight.rows) \(weight.columns) 64") {
        theirs += reply.processor
        norms.theirs += reply.value
      }
      count += 1
    }
    report(
      "fast PiSSA of \(count) linear layers, rank 64", Taken(wall: ours, processor: ours),
      peer == nil ? nil : Taken(wall: theirs, processor: theirs), errors: norms,
      bar: "at most 1/3 of peft's")
  }

  private static func exact(_ context: BenchmarkContext, _ peer: Peer?) throws {
    for order in [1024, 2048] {
      let weight = try matrix(order, order)
      let file = context.folder + "/weight.f32"
      try write(weight, to: file)
      var (ours, theirs): ([Taken], [Taken]) = ([], [])
      for _ in 0..<3 {
        ours.append(try Taken.by { _ = try SVD.exact(weight) })
        if let reply = try peer?.ask("gesdd \(file) \(order) \(order)") {
          theirs.append(Taken(wall: reply.wall, processor: reply.processor))
        }
      }
      report(
        "exact SVD \(order) × \(order)", Taken.median(ours),
        theirs.isEmpty ? nil : Taken.median(theirs), errors: nil, bar: "no slower than gesdd")
    }
    let weight = try matrix(1024, 1024)
    let pool = WorkerPool(workers: 2)
    let both = try Taken.by {
      try pool.forEach(2) { (_: Int) throws -> Void in _ = try SVD.exact(weight) }
    }
    show(
      "two of 1024 × 1024 on two workers",
      "\(Format.duration(both.wall)) wall, "
        + "\(Format.duration(both.processor)) of processor")
  }

  private static func eora(_ context: BenchmarkContext, _ peer: Peer?) throws {
    let (order, rank) = (4096, 128)
    let delta = Matrix(
      rows: order, columns: order,
      values: Philox(seed: 5).normals(count: order * order, purpose: .sketch))
    // Inputs of a decaying spectrum with three loud channels.
    var x = try matrix(order, order, power: 0.5)
    for row in 0..<order {
      for channel in [7, 20, 33] { x.values[row * order + channel] *= 12 }
    }
    var gram = try x.multiplied(by: x, transposeSelf: true)
    for index in 0..<order { gram[index, index] += 1e-4 }
    let (deltaFile, gramFile) = (context.folder + "/delta.f32", context.folder + "/gram.f32")
    try write(delta, to: deltaFile)
    try write(gram, to: gramFile)
    let wide = gram.converted(to: Double.self)
    var left = delta
    var iterations = 0
    let taken = try (0..<3).map { _ in
      try Taken.by {
        let result = try ErrorCompensation.factors(delta, weighting: .gram(wide), rank: rank)
        left = try result.factors.residual(of: delta)
        iterations = result.report?.iterations ?? 0
      }
    }
    let wideLeft = left.converted(to: Double.self)
    let product = try wideLeft.multiplied(by: wide)
    let error = zip(wideLeft.values, product.values).reduce(0) { $0 + $1.0 * $1.1 }
    let reply = try peer?.ask("eora \(deltaFile) \(gramFile) \(order) \(rank)")
    report(
      "EoRA 4096 × 4096, rank 128, \(iterations) products", Taken.median(taken),
      reply.map { Taken(wall: $0.wall, processor: $0.processor) },
      errors: (ours: error.squareRoot(), theirs: (reply?.value ?? 0).squareRoot()),
      bar: "at most 1/25 of the published route")
    if let best = try peer?.ask("optimum \(deltaFile) \(gramFile) \(order) \(rank)") {
      show(
        "EoRA's weighted error above the exact optimum",
        String(format: "%.1e", (error / best.value).squareRoot() - 1), bar: "1e-4")
    }
  }

  private static func report(
    _ what: String, _ ours: Taken, _ theirs: Taken?, errors: (ours: Double, theirs: Double)?,
    bar: String
  ) {
    func time(_ seconds: Double) -> String {
      seconds < 1 ? "\(Format.fixed(seconds * 1000, 1)) ms" : Format.duration(seconds)
    }
    var line = time(ours.processor)
    if let theirs {
      line +=
        ", peer \(time(theirs.processor)): "
        + "\(Format.fixed(ours.processor / theirs.processor, 3)) of it"
      if let errors { line += ", error \(Format.fixed(errors.ours / errors.theirs, 6)) of its" }
    }
    show(what, line, bar: bar)
  }

  /// A matrix with a spectrum that falls about as (i + 1)^−power.
  private static func matrix(
    _ rows: Int, _ columns: Int, power: Double = 0.7
  ) throws -> Matrix<Float> {
    let inner = min(rows, columns)
    let generator = Philox(seed: 3)
    var left = Matrix(
      rows: rows, columns: inner,
      values: generator.normals(count: rows * inner, tensor: 1, purpose: .sketch))
    let right = Matrix(
      rows: inner, columns: columns,
      values: generator.normals(count: inner * columns, tensor: 2, purpose: .sketch))
    let scale = (0..<inner).map { Float(pow(Double($0 + 1), -power) / Double(inner)) }
    for row in 0..<rows {
      for column in 0..<inner { left.values[row * inner + column] *= scale[column] }
    }
    return try left.multiplied(by: right)
  }

  private static func norm(_ matrix: Matrix<Float>) -> Double {
    matrix.values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
  }

  private static func write(_ matrix: Matrix<Float>, to path: String) throws {
    try matrix.values.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: path)) }
  }
}
