import Architectures
import Checkpoints
import JSONText
import Pruning
import Quantization
import Recipes
import Tensors
import Weights

/// What a recipe's `narrow` stage makes of a model before any weight goes its own way.
///
/// Which channels, heads and blocks stay is settled while planning, from the statistics and the
/// maps that read them; the corrected maps are made when they are read. Widths are the same in
/// every block, because configurations have one number for all.
struct Narrowing {
  private(set) var source: any TensorSource
  private(set) var calibration: CalibrationInput?
  /// Whether the recipe narrows at all.
  private(set) var isApplied = false

  private var changes: [String: NarrowedTensor] = [:]
  /// By site: the inputs that stay.
  private var keptInputs: [String: [Int]] = [:]
  /// By old number: the new number of a block; absent where it leaves.
  private var numbers: [Int: Int] = [:]

  init(
    _ recipe: Recipe, source: any TensorSource, calibration: CalibrationInput?
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
    guard let calibration else {
      throw PipelineError.statisticsNeeded(
        tensor: model.blocks.first?.attentionOutput.weight ?? source.path,
        rows: model.hiddenSize, columns: model.attention.queryWidth)
    }
    let left = try blocksThatStay(model, options, calibration, refuse)
    for (number, index) in left.enumerated() { numbers[index] = number }
    var sizes = Sizes(blocks: left, attention: model.attention)
    for index in left {
      let block = model.blocks[index]
      if let share = options.feedForward {
        sizes.feedForward = try narrowFeedForward(block, share, options, calibration, refuse)
      }
      if let share = options.heads {
        sizes.keyValueHeads = try narrowHeads(
          block, model.attention, share, options, calibration)
      }
    }
    isApplied = true
    let numbers = numbers
    self.source = NarrowedSource(
      source, changes: changes,
      configuration: try sizes.applied(to: configuration, refuse)
    ) { Self.renamed($0, numbers) }
    self.calibration = narrowed(calibration)
  }

  /// Channels of the feed-forward part, a multiple of 16 where the width was one.
  private mutating func narrowFeedForward(
    _ block: BlockDescription, _ share: Double, _ options: NarrowOptions,
    _ calibration: CalibrationInput, _ refuse: (String) -> PipelineError
  ) throws -> Int {
    guard case .gated(let gate, let up, let down, _) = block.feedForward else {
      throw refuse("only gated feed-forward parts can be narrowed")
    }
    let unit = down.inputs % 16 == 0 ? 16 : 1
    let count = max(1, Int((share * Double(down.inputs / unit)).rounded())) * unit
    let kept = try choose(down, unit: 1, count: count, options, calibration)
    for linear in [gate, up] { keepRows(of: linear, kept) }
    return count
  }

  /// Key/value heads with the query heads that read them.
  private mutating func narrowHeads(
    _ block: BlockDescription, _ attention: AttentionShape, _ share: Double,
    _ options: NarrowOptions, _ calibration: CalibrationInput
  ) throws -> Int {
    let count = max(1, Int((share * Double(attention.keyValueHeads)).rounded()))
    let dimension = attention.headDimension
    let unit = dimension * (attention.heads / attention.keyValueHeads)
    let kept = try choose(
      block.attentionOutput, unit: unit, count: count, options, calibration)
    guard case .separate(let query, let key, let value) = block.projections else { return count }
    keepRows(of: query, kept)
    let heads = stride(from: 0, to: kept.count, by: unit).map { kept[$0] / unit }
    let rows = heads.flatMap { $0 * dimension..<($0 + 1) * dimension }
    for linear in [key, value] { keepRows(of: linear, rows) }
    return count
  }

  /// The inputs of a map that stay; the map becomes one of these alone.
  private mutating func choose(
    _ linear: LinearDescription, unit: Int, count: Int, _ options: NarrowOptions,
    _ calibration: CalibrationInput
  ) throws -> [Int] {
    let statistics = try calibration.checkedInput(of: linear.weight, view: linear.view)
    let weight = try values(linear)
    do {
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
      let source = source
      changes[linear.weight] = .made(columns: kept.count) {
        let weight = try Self.values(linear, of: source)
        guard options.correct, let gram = statistics.gram else {
          return StructuredPruning.selecting(weight, columns: kept)
        }
        return try StructuredPruning.corrected(
          weight, gram: gram, keeping: kept, damping: options.damping)
      }
      return kept
    } catch {
      throw PipelineError.stage(file: source.path, tensor: linear.weight, reason: "\(error)")
    }
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
    _ model: ModelDescription, _ options: NarrowOptions, _ calibration: CalibrationInput,
    _ refuse: (String) -> PipelineError
  ) throws -> [Int] {
    let all = Array(model.blocks.indices)
    guard let leaving = options.dropBlocks else { return all }
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
      let kept = keptInputs[site.site] ?? Array(0..<site.width)
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
