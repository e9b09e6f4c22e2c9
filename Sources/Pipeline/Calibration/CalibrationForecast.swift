import Architectures
import Models
import Recipes

/// What gathering statistics in a run takes besides the jobs.
public struct CalibrationForecast: Sendable, Hashable {
  /// The states of all rows between two blocks, and attention's results in steps.
  public let stateBytes: Int
  /// Scratch of the passes and the statistics that are gathered at once.
  public let residentBytes: Int
  /// Weights of the layers that the states go through at once.
  public let blockBytes: Int
  /// Processor time of passes and statistics.
  public let seconds: Double

  /// Multiplications and additions a second of one worker in a pass, from measurements.
  static let rate = 120e9

  init(
    _ model: ModelDescription, _ schedule: CalibrationSchedule, _ text: CalibrationText,
    _ propagation: Calibration.Propagation, watchesDrift: Bool, workers: Int
  ) {
    let rows = text.rows
    let hidden = model.hiddenSize
    let isStepwise = propagation == .layers
    let models = watchesDrift ? 2 : 1
    stateBytes = models * 4 * rows * (hidden + (isStepwise ? model.attention.queryWidth : 0))
    let passRows = max(BlockwiseRunner.passRows(model), text.lengths.max() ?? 0)
    let widest = model.blocks.flatMap(\.sites).map(\.width).max() ?? hidden
    let scratch =
      passRows * (BlockwiseRunner.scratchPerRow(model) + hidden + widest)
      + workers * 512 * (2 * hidden + 2 * widest)
    func statistics(_ widths: [Int]) -> Int {
      widths.reduce(0) { sum, width in
        sum + InputStatistics.byteCount(width: width, withGram: true)
          + (watchesDrift ? DriftStatistics.byteCount(width: width, streamWidth: hidden) : 0)
      }
    }
    var gathered = 0
    var weights = 0
    for block in model.blocks {
      let widths = block.sites.map(\.width)
      let sizes = block.linearsBySite.map { $0.reduce(0) { $0 + 4 * $1.outputs * $1.inputs } }
      gathered = max(
        gathered, isStepwise ? widths.map { statistics([$0]) }.max() ?? 0 : statistics(widths))
      // Decoding holds a layer's parts and its values for a moment.
      let largest = block.linears.map { 4 * $0.outputs * $0.inputs }.max() ?? 0
      let whole = sizes.reduce(0, +)
      weights = max(
        weights, (isStepwise ? sizes.max() ?? 0 : whole) + largest + (watchesDrift ? whole : 0))
    }
    if let head = model.head, !schedule.head.isEmpty {
      gathered = max(gathered, statistics([head.width]))
    }
    residentBytes = models * 4 * scratch + gathered
    blockBytes = weights
    let total = Self.steps(
      model, schedule, propagation, watchesDrift: watchesDrift, lengths: text.lengths
    ).map(\.work)
    seconds = Double(total.reduce(0, +)) * 2 / Self.rate
  }

  /// One pass of all rows, and its multiplications.
  struct Step: Sendable, Hashable {
    let block: Int
    let work: Int
  }

  /// The work of each block, in order; none for blocks behind the last that is needed.
  static func steps(
    _ model: ModelDescription, _ schedule: CalibrationSchedule,
    _ propagation: Calibration.Propagation, watchesDrift: Bool, lengths: [Int]
  ) -> [Step] {
    let rows = lengths.reduce(0, +)
    let last = schedule.head.isEmpty ? schedule.end?.block ?? -1 : model.blocks.count - 1
    // Scores and their products with the values; a causal pass needs half of them.
    let pairs = lengths.reduce(0) { $0 + $1 * $1 } / (model.attention.causal ? 2 : 1)
    return model.blocks.prefix(last + 1).map { block in
      let maps = block.linears.reduce(0) { $0 + $1.outputs * $1.inputs }
      let attention = 2 * pairs * model.attention.queryWidth
      let again = block.linearsBySite[2].reduce(0) { $0 + $1.outputs * $1.inputs }
      let isNeeded = schedule.blocks[block.index].map {
        $0.contains(where: schedule.calibrated.contains)
      }
      let sums = zip(block.sites.map(\.width), isNeeded).reduce(0) { sum, site in
        guard site.1 else { return sum }
        let own = site.0 * (site.0 + 256) / 2
        return sum + own + (watchesDrift ? site.0 * (site.0 + model.hiddenSize / 2) : 0)
      }
      var work = rows * maps + attention
      switch propagation {
      case .layers: work += rows * again
      case .blocks: work += rows * maps + attention
      case .none: break
      }
      if watchesDrift { work *= 2 }
      return Step(block: block.index, work: work + rows * sums)
    }
  }
}
