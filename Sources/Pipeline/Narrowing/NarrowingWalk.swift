import Architectures
import Checkpoints
import LinearAlgebra
import Models
import Pruning
import Recipes
import Tensors
import Weights

/// The way of the model that is becoming narrower through its blocks, the dense one beside it.
///
/// Each map that loses inputs is fitted to what the dense model has there, on what the narrowed
/// blocks before it really say; as sequential calibration does for other stages
/// (docs/calibration.md), only before the plan is made, as every later stage needs the new shapes.
struct NarrowingWalk {
  private let calibration: Calibration
  private let text: CalibrationText
  private let model: OpenedModel
  private let pool: WorkerPool
  private let memoryLimit: Int?

  /// - Throws: `PipelineError.statisticsNeeded` for models that cannot be run, and what reading the
  ///   text throws.
  init(_ recipe: Recipe, _ source: any TensorSource, options: PlanOptions) throws {
    model = try CalibrationInput.opened(source, options: options)
    calibration = recipe.calibration
    text = try CalibrationText.read(
      recipe.calibration, seed: recipe.seed, for: model, tokenizer: options.tokenizer)
    pool = WorkerPool(workers: options.workers)
    memoryLimit = options.memoryLimit.map { $0 / 2 }
  }

  /// What was seen at one of a block's sites.
  struct View {
    let block: BlockDescription
    let site: Int
    let statistics: InputStatistics
    /// Of the last site: what the feed-forward part reads and what it should say, without gates.
    var rows: [GatedRefit.Rows] = []
    let pool: WorkerPool
  }

  /// What became of a site.
  struct Change {
    /// Maps in place of the block's own, as wide as before, zero where inputs have left.
    var maps: [(linear: LinearDescription, values: Matrix<Float>)]
    /// What the inputs that stay are like from now on; nil: as they were seen.
    var statistics: InputStatistics?
  }

  /// Goes through all blocks.
  ///
  /// - Parameters:
  ///   - leaving: blocks that the narrowed model does without; the stream passes them by.
  ///   - keepingRows: whether `narrow` wants the rows of feed-forward parts.
  ///   - narrow: says what becomes of a site; nil where it stays as it is.
  /// - Returns: what the inputs of the narrowed model are, as wide as the dense one's where `narrow`
  ///   did not say otherwise.
  /// - Throws: what `narrow` throws, and `ModelError`.
  func run(
    leaving: Set<Int>, keepingRows: Bool, narrow: (View) throws -> Change?
  ) throws -> CalibrationInput {
    let dense = model.weights
    var own = SubstitutedWeights(dense, weights: [:])
    let batch = TokenBatch(
      try text.sequences(of: model, memoryLimit: memoryLimit, pool: pool))
    // Two streams share the room.
    let limit = memoryLimit.map { $0 / 2 } ?? .max
    let passRows = BlockwiseRunner.passRows(model.description)
    let runner = try BlockwiseRunner(
      own, batch: batch, memoryLimit: limit, passRows: passRows, pool: pool)
    let beside = try BlockwiseRunner(
      dense, batch: batch, memoryLimit: limit, passRows: passRows, pool: pool)
    let collector = CalibrationCollector(
      for: model.description, provenance: text.provenance, pool: pool)
    collector.begin(batch)
    var changed: [String: InputStatistics] = [:]
    for block in model.description.blocks {
      let isLeaving = leaving.contains(block.index)
      if isLeaving {
        for linear in [block.attentionOutput, block.feedForward.linears.last].compactMap({ $0 }) {
          own.weights[linear.weight] = try Self.weight(
            Matrix(rows: linear.outputs, columns: linear.inputs, repeating: 0), of: linear)
        }
      }
      var prepared = try PreparedBlock(normsOf: block, from: own)
      let whole = try PreparedBlock(block, from: dense)
      var kept = try KeptRows(
        of: block, in: model.description, dense: dense, target: calibration.target, pool: pool,
        isEmpty: isLeaving || !keepingRows)
      for (number, site) in block.sites.enumerated() {
        var drift: DriftStatistics?
        if !isLeaving, calibration.target != .own, number % 2 == 1 {
          drift = DriftStatistics(
            width: site.width,
            streamWidth: calibration.target == .stream ? model.description.hiddenSize : nil)
        }
        try runner.step(prepared, beside: beside, whole) { own, other in
          guard !isLeaving else { return }
          try collector.observe(site, own.input, rows: own.rows.count)
          drift?.add(
            inputs: .init(dense: other.input, own: own.input),
            stream: .init(dense: other.stream, own: own.stream), rows: own.rows.count, pool: pool)
          try kept.add(site: number, own, other)
        }
        try prepared.load(site: number, from: own)
        guard !isLeaving, number % 2 == 1, var statistics = collector.statistics.sites[site.name]
        else { continue }
        statistics.drift = drift
        let view = View(
          block: block, site: number, statistics: statistics, rows: kept.rows, pool: pool)
        guard let change = try narrow(view) else { continue }
        for (linear, values) in change.maps {
          own.weights[linear.weight] = try Self.weight(values, of: linear)
        }
        changed[site.name] = change.statistics
        for loaded in 0...number where loaded >= number - 1 {
          try prepared.load(site: loaded, from: own)
        }
      }
      try runner.finish(prepared)
      try beside.finish(whole)
      // Whatever block comes next does not read these again.
      own.weights = [:]
    }
    var statistics = collector.statistics
    statistics.sites.merge(changed) { $1 }
    return CalibrationInput(statistics: statistics, path: text.provenance, hash: text.hash)
  }

  private static func weight(
    _ values: Matrix<Float>, of linear: LinearDescription
  ) throws -> CompressedWeight {
    try CompressedWeight(
      dense: Tensor(
        dtype: .f32, shape: [values.rows, values.columns], array: values.values),
      for: linear)
  }
}

/// Rows of a feed-forward part: what it reads in the narrowed model, and what it should say there.
private struct KeptRows {
  private(set) var rows: [GatedRefit.Rows] = []
  private let down: Matrix<Float>?
  private let target: Calibration.Target
  private let widths: (input: Int, hidden: Int)
  private let pool: WorkerPool
  /// Rows that are still wanted, and the next chunk to complete.
  private var room: Int
  private var next = 0

  /// f32 numbers that the rows, and the gates' signals to come, may take: 512 MiB.
  private static let numbers = 1 << 27

  init(
    of block: BlockDescription, in model: ModelDescription, dense: any WeightProvider,
    target: Calibration.Target, pool: WorkerPool, isEmpty: Bool
  ) throws {
    let linear = isEmpty ? nil : block.feedForward.linears.last
    down = try linear.map { try dense.weight($0).decoded() }
    widths = (model.hiddenSize, linear?.inputs ?? 0)
    room = linear == nil ? 0 : max(8192, Self.numbers / (2 * widths.input + widths.hidden))
    self.target = target
    self.pool = pool
  }

  mutating func add(site: Int, _ own: SiteRows, _ dense: SiteRows) throws {
    let count = own.rows.count
    if site == 2, room > 0 {
      room -= count
      let none = Matrix<Float>(rows: 0, columns: 0, values: [])
      rows.append(
        GatedRefit.Rows(
          inputs: Self.matrix(own.input, count, widths.input), gates: none, targets: none))
    } else if site == 3, let down, next < rows.count {
      let read = target == .own ? own : dense
      var targets = try Gemm.product(
        Self.matrix(read.input, count, widths.hidden), transposed: false, down, transposed: true,
        pool: pool)
      if target == .stream {
        for index in targets.values.indices {
          targets.values[index] += dense.stream[index] - own.stream[index]
        }
      }
      rows[next].targets = targets
      next += 1
    }
  }

  private static func matrix(
    _ start: UnsafePointer<Float>, _ rows: Int, _ columns: Int
  ) -> Matrix<Float> {
    Matrix(
      rows: rows, columns: columns,
      values: Array(UnsafeBufferPointer(start: start, count: rows * columns)))
  }
}

extension Recipe {
  /// The narrowing that goes along with the calibration text; nil where statistics of the dense
  /// model decide, or nothing is made good.
  var walkedNarrowing: NarrowOptions? {
    for case .narrow(let options) in stages
    where options.correct && calibration.sequential == .layers
      && (options.feedForward != nil || options.heads != nil)
    {
      return options
    }
    return nil
  }
}
