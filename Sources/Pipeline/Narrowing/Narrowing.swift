import Architectures
import Checkpoints
import JSONText
import LinearAlgebra
import Models
import Pruning
import Quantization
import Recipes
import Tensors
import Weights

/// What a recipe's `narrow` stage makes of a model before any weight goes its own way.
///
/// Which channels, heads and blocks stay is settled while planning, from the statistics and the
/// maps that read them. Where the run has its own text, every block is seen through the narrowed
/// ones before it, and its maps are fitted to the dense model's stream (`NarrowingWalk`); with
/// statistics from a file the corrected maps are made when they are read. Widths are the same in
/// every block, because configurations have one number for all.
struct Narrowing {
  private(set) var source: any TensorSource
  private(set) var calibration: CalibrationInput?
  /// Whether the recipe narrows at all.
  private(set) var isApplied = false
  /// Whether maps are made on the way through the model: what they are fitted to is known only then.
  private var isWalking = false

  private var changes: [String: NarrowedTensor] = [:]
  /// By site: the inputs that stay.
  private var keptInputs: [String: [Int]] = [:]
  /// By old number: the new number of a block; absent where it leaves.
  private var numbers: [Int: Int] = [:]

  /// - Parameters:
  ///   - calibration: statistics of the dense model; nil when nothing but the walk needs any.
  ///   - walk: what a run with its own text may use; nil with statistics from a file.
  init(
    _ recipe: Recipe, source: any TensorSource, calibration: CalibrationInput?,
    walk: PlanOptions? = nil
  ) throws {
    self.source = source
    self.calibration = calibration
    let stages = recipe.stages.compactMap { stage -> NarrowOptions? in
      if case .narrow(let options) = stage { options } else { nil }
    }
    guard let options = stages.first else { return }
    func refuse(_ reason: String) -> PipelineError {
      .stage(file: recipe.file, tensor: "narrow", reason: reason)
    }
    guard stages.count == 1 else { throw refuse("one narrowing of a model is enough") }
    guard options.feedForward != nil || options.heads != nil || options.dropBlocks != nil else {
      throw refuse("give 'feed_forward', 'heads' or 'drop_blocks'")
    }
    guard let configuration = source.metadata.configuration else {
      throw refuse("'\(source.path)' has no config.json that says what the model is")
    }
    let model: ModelDescription
    do {
      model = try ModelDescription.resolve(
        configuration: configuration, tensors: source.tensors
      ).description
    } catch { throw refuse("\(error)") }
    guard model.family == .llama else {
      throw refuse("only models of the Llama family can be narrowed, not \(model.modelType)")
    }
    isWalking = walk != nil && recipe.walkedNarrowing != nil
    guard calibration != nil || (isWalking && options.dropBlocks == nil) else {
      throw PipelineError.statisticsNeeded(
        tensor: model.blocks.first?.attentionOutput.weight ?? source.path,
        rows: model.hiddenSize, columns: model.attention.queryWidth)
    }
    let left = try blocksThatStay(model, options, calibration, refuse)
    for (number, index) in left.enumerated() { numbers[index] = number }
    var sizes = Sizes(blocks: left, attention: model.attention)
    var seen = calibration
    if let walk, isWalking {
      seen = try NarrowingWalk(recipe, source, options: walk).run(
        leaving: Set(model.blocks.indices).subtracting(left),
        keepingRows: options.feedForward != nil
      ) { try narrow($0, model.attention, options, refuse, &sizes) }
    } else if let calibration {
      for block in left.map({ model.blocks[$0] }) {
        for (site, linear) in [(1, block.attentionOutput), (3, block.feedForward.linears.last)] {
          guard let linear, (site == 1 ? options.heads : options.feedForward) != nil else {
            continue
          }
          let statistics = try calibration.checkedInput(of: linear.weight, view: linear.view)
          _ = try narrow(
            NarrowingWalk.View(
              block: block, site: site, statistics: statistics, pool: .serial),
            model.attention, options, refuse, &sizes)
        }
      }
    }
    isApplied = true
    let numbers = numbers
    self.source = NarrowedSource(
      source, changes: changes,
      configuration: try sizes.applied(to: configuration, refuse)
    ) { Self.renamed($0, numbers) }
    self.calibration = seen.map(narrowed)
  }

  /// Takes inputs of a block's site out, where the options say so.
  ///
  /// - Returns: what becomes of the block's maps; nil where all inputs stay or maps are made later.
  private mutating func narrow(
    _ view: NarrowingWalk.View, _ attention: AttentionShape, _ options: NarrowOptions,
    _ refuse: (String) -> PipelineError, _ sizes: inout Sizes
  ) throws -> NarrowingWalk.Change? {
    switch view.site {
    case 1:
      guard let share = options.heads else { return nil }
      return try narrowHeads(view, attention, share, options, &sizes)
    case 3:
      guard let share = options.feedForward else { return nil }
      return try narrowFeedForward(view, share, options, refuse, &sizes)
    default: return nil
    }
  }

  /// Channels of the feed-forward part, a multiple of 16 where the width was one.
  private mutating func narrowFeedForward(
    _ view: NarrowingWalk.View, _ share: Double, _ options: NarrowOptions,
    _ refuse: (String) -> PipelineError, _ sizes: inout Sizes
  ) throws -> NarrowingWalk.Change? {
    guard case .gated(let gate, let up, let down, let activation) = view.block.feedForward else {
      throw refuse("only gated feed-forward parts can be narrowed")
    }
    let unit = down.inputs % 16 == 0 ? 16 : 1
    let count = max(1, Int((share * Double(down.inputs / unit)).rounded())) * unit
    sizes.feedForward = count
    let (kept, map) = try choose(down, unit: 1, count: count, options, view.statistics)
    for linear in [gate, up] { keepRows(of: linear, kept) }
    guard let map else { return nil }
    guard gate.bias == nil, up.bias == nil, down.bias == nil, !view.rows.isEmpty else {
      return .init(maps: [(down, StructuredPruning.spreading(map, to: kept, of: down.inputs))])
    }
    do {
      let gates = try values(gate).selecting(rows: kept)
      var whole = try values(up)
      let rows = try view.rows.map { rows in
        var rows = rows
        rows.gates = try Gemm.product(
          rows.inputs, transposed: false, gates, transposed: true, pool: view.pool)
        activation.apply(to: &rows.gates)
        return rows
      }
      let found = try GatedRefit.refit(
        up: whole.selecting(rows: kept), down: map, rows: rows, pool: view.pool)
      changes[up.weight] = .made(rows: count, columns: up.inputs) { found.up }
      changes[down.weight] = .made(rows: down.outputs, columns: count) { found.down }
      var statistics = InputStatistics(
        site: view.statistics.site, readers: view.statistics.readers, width: count)
      for part in rows {
        let hidden = try GatedRefit.hidden(part, up: found.up, pool: view.pool)
        try hidden.values.withUnsafeBufferPointer { x in
          guard let start = x.baseAddress else { return }
          try statistics.add(start, rows: hidden.rows, batch: 1, pool: view.pool)
        }
      }
      for (index, row) in kept.enumerated() {
        whole.values.replaceSubrange(
          whole.range(ofRow: row), with: found.up.values[found.up.range(ofRow: index)])
      }
      return .init(
        maps: [
          (up, whole), (down, StructuredPruning.spreading(found.down, to: kept, of: down.inputs)),
        ], statistics: statistics)
    } catch {
      throw PipelineError.stage(file: source.path, tensor: up.weight, reason: "\(error)")
    }
  }

  /// Key/value heads with the query heads that read them.
  private mutating func narrowHeads(
    _ view: NarrowingWalk.View, _ attention: AttentionShape, _ share: Double,
    _ options: NarrowOptions, _ sizes: inout Sizes
  ) throws -> NarrowingWalk.Change? {
    let count = max(1, Int((share * Double(attention.keyValueHeads)).rounded()))
    sizes.keyValueHeads = count
    let dimension = attention.headDimension
    let unit = dimension * (attention.heads / attention.keyValueHeads)
    let linear = view.block.attentionOutput
    let (kept, map) = try choose(linear, unit: unit, count: count, options, view.statistics)
    if case .separate(let query, let key, let value) = view.block.projections {
      keepRows(of: query, kept)
      let heads = stride(from: 0, to: kept.count, by: unit).map { kept[$0] / unit }
      let rows = heads.flatMap { $0 * dimension..<($0 + 1) * dimension }
      for linear in [key, value] { keepRows(of: linear, rows) }
    }
    return map.map {
      .init(maps: [(linear, StructuredPruning.spreading($0, to: kept, of: linear.inputs))])
    }
  }

  /// The inputs of a map that stay; the map becomes one of these alone.
  private mutating func choose(
    _ linear: LinearDescription, unit: Int, count: Int, _ options: NarrowOptions,
    _ statistics: InputStatistics
  ) throws -> (kept: [Int], map: Matrix<Float>?) {
    var weight = try values(linear)
    do {
      if let drift = statistics.drift, let gram = statistics.gram {
        weight = try DriftCorrection.target(
          weight, gram: gram, inputs: drift.inputs, stream: drift.stream)
      }
      let kept: [Int]
      if options.correct, let gram = statistics.gram {
        kept = try StructuredPruning.keptAfterCorrection(
          weight, gram: gram, unit: unit, count: count, damping: options.damping)
      } else {
        kept = StructuredPruning.kept(
          importance: try StructuredPruning.importance(weight, squares: statistics.squareSums),
          unit: unit, count: count)
      }
      keptInputs[statistics.site] = kept
      if isWalking {
        let map = try Self.map(weight, statistics, options, keeping: kept)
        changes[linear.weight] = .made(rows: map.rows, columns: kept.count) { map }
        return (kept, map)
      }
      let source = source
      changes[linear.weight] = .made(rows: weight.rows, columns: kept.count) {
        try Self.map(try Self.values(linear, of: source), statistics, options, keeping: kept)
      }
      return (kept, nil)
    } catch {
      throw PipelineError.stage(file: source.path, tensor: linear.weight, reason: "\(error)")
    }
  }

  /// What becomes of a map.
  private static func map(
    _ weight: Matrix<Float>, _ statistics: InputStatistics, _ options: NarrowOptions,
    keeping kept: [Int]
  ) throws -> Matrix<Float> {
    guard options.correct, let gram = statistics.gram else {
      return StructuredPruning.selecting(weight, columns: kept)
    }
    return try StructuredPruning.corrected(
      weight, gram: gram, keeping: kept, damping: options.damping)
  }

  private mutating func keepRows(of linear: LinearDescription, _ rows: [Int]) {
    changes[linear.weight] = .rows(rows)
    if let bias = linear.bias { changes[bias] = .rows(rows) }
  }

  private func values(_ linear: LinearDescription) throws -> Matrix<Float> {
    do { return try Self.values(linear, of: source) } catch {
      throw PipelineError.stage(file: source.path, tensor: linear.weight, reason: "\(error)")
    }
  }

  private static func values(
    _ linear: LinearDescription, of source: any TensorSource
  ) throws -> Matrix<Float> {
    guard let tensor = source.tensor(named: linear.weight) else {
      return Matrix(rows: linear.outputs, columns: linear.inputs, repeating: 0)
    }
    return linear.view.matrix(from: try source.load(tensor).floats())
  }

  /// The blocks that stay: those whose outputs weigh least against the stream they are added to
  /// leave.
  private func blocksThatStay(
    _ model: ModelDescription, _ options: NarrowOptions, _ calibration: CalibrationInput?,
    _ refuse: (String) -> PipelineError
  ) throws -> [Int] {
    let all = Array(model.blocks.indices)
    guard let leaving = options.dropBlocks, let calibration else { return all }
    guard leaving < all.count else {
      throw refuse("\(leaving) blocks cannot leave a model of \(all.count)")
    }
    var stream = 0.0
    var shares: [Double] = []
    for block in model.blocks {
      var energy = 0.0
      for linear in [block.attentionOutput, block.feedForward.linears.last].compactMap({ $0 }) {
        let statistics = try calibration.checkedInput(of: linear.weight, view: linear.view)
        guard let gram = statistics.gram, statistics.rows > 0 else { continue }
        let weight = try values(linear)
        do {
          energy += try WeightedError.of(weight, gram: gram) / Double(statistics.rows)
        } catch {
          throw PipelineError.stage(file: source.path, tensor: linear.weight, reason: "\(error)")
        }
      }
      stream += energy
      shares.append(stream > 0 ? energy / stream : 0)
    }
    // The first block makes most of the stream by itself, whatever its size.
    let order = all.sorted { (shares[$0], -$0) < (shares[$1], -$1) }
    let gone = Set(order.prefix(leaving))
    return all.filter { !gone.contains($0) }
  }

  /// A tensor's or a module's name after blocks have left; nil where its block has.
  private static func renamed(_ name: String, _ numbers: [Int: Int]) -> String? {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard let place = parts.firstIndex(of: "layers"), place + 1 < parts.count,
      let old = Int(parts[place + 1])
    else { return name }
    guard let new = numbers[old] else { return nil }
    parts[place + 1] = "\(new)"
    return parts.joined(separator: ".")
  }

  /// The statistics of what is left; they were gathered on the whole model.
  private func narrowed(_ calibration: CalibrationInput) -> CalibrationInput {
    var statistics = calibration.statistics
    statistics.sites = [:]
    for (name, site) in calibration.statistics.sites {
      guard let renamed = Self.renamed(name, numbers) else { continue }
      let readers = site.readers.compactMap { Self.renamed($0, numbers) }
      // A walk has seen what stays by itself already.
      let chosen = keptInputs[site.site].flatMap { $0.count == site.width ? nil : $0 }
      let kept = chosen ?? Array(0..<site.width)
      var gram: Matrix<Double>?
      if let whole = site.gram {
        var part = Matrix<Double>(rows: kept.count, columns: kept.count, repeating: 0)
        for (row, from) in kept.enumerated() {
          for (column, to) in kept.enumerated() { part[row, column] = whole[from, to] }
        }
        gram = part
      }
      statistics.sites[renamed] = InputStatistics(
        site: renamed, readers: readers, rows: site.rows, sums: kept.map { site.sums[$0] },
        absoluteSums: kept.map { site.absoluteSums[$0] },
        squareSums: kept.map { site.squareSums[$0] }, maxima: kept.map { site.maxima[$0] },
        gram: gram)
    }
    return CalibrationInput(
      statistics: statistics, path: calibration.path, hash: calibration.hash)
  }
}

/// The numbers of a configuration that narrowing changes.
private struct Sizes {
  /// The old numbers of the blocks that stay.
  let blocks: [Int]
  let attention: AttentionShape
  var feedForward: Int?
  var keyValueHeads: Int?

  func applied(
    to configuration: String, _ refuse: (String) -> PipelineError
  ) throws -> String {
    let parsed: JSONValue
    do { parsed = try JSONParser.parse(configuration) } catch { throw refuse("\(error)") }
    guard var object = parsed.object else { throw refuse("config.json is no object") }
    if let feedForward { object["intermediate_size"] = JSONValue(feedForward) }
    if let keyValueHeads {
      let group = attention.heads / attention.keyValueHeads
      object["num_key_value_heads"] = JSONValue(keyValueHeads)
      object["num_attention_heads"] = JSONValue(keyValueHeads * group)
      object["head_dim"] = JSONValue(attention.headDimension)
    }
    object["num_hidden_layers"] = JSONValue(blocks.count)
    if let types = object["layer_types"]?.array {
      object["layer_types"] = .array(blocks.filter { $0 < types.count }.map { types[$0] })
    }
    return JSONValue.object(object).text(.pretty)
  }
}

extension Matrix where Element == Float {
  fileprivate func selecting(rows kept: [Int]) -> Self {
    Matrix(rows: kept.count, columns: columns, values: kept.flatMap { values[range(ofRow: $0)] })
  }
}
