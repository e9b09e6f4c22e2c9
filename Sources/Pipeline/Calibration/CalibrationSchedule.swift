import Architectures
import Checkpoints

/// The order of a calibrated run: which tensors' jobs wait for the inputs of which site.
///
/// Numbers are those of the plan's tensors.
struct CalibrationSchedule: Sendable {
  /// What no input is needed for: norms, biases, tables, and layers outside the blocks.
  let before: [Int]
  /// By block and site, in order of execution: the site's readers.
  let blocks: [[[Int]]]
  /// Heads that are calibrated on the final hidden states.
  let head: [Int]
  /// The tensors whose stages need statistics.
  let calibrated: Set<Int>

  /// All numbers, in the order in which jobs run.
  var order: [Int] { before + blocks.joined().joined() + head }

  /// The last block and site that somebody needs; all blocks when the head does.
  var end: (block: Int, site: Int)? {
    for block in blocks.indices.reversed() {
      for site in blocks[block].indices.reversed()
      where blocks[block][site].contains(where: calibrated.contains) { return (block, site) }
    }
    return nil
  }

  /// - Throws: `PipelineError.notCalibratable` for a calibrated tensor that is neither a linear
  ///   layer of a block nor the head.
  init(_ planned: [PlannedTensor], _ description: ModelDescription) throws(PipelineError) {
    // A tensor that shares another's storage is done with it.
    var numbers: [String: Int] = [:]
    for tensor in planned where tensor.tensor.sharesStorageWith == nil {
      numbers[tensor.tensor.name] = tensor.index
    }
    for tensor in planned {
      if let first = tensor.tensor.sharesStorageWith {
        numbers[tensor.tensor.name] = numbers[first]
      }
    }
    let calibrated = Set(planned.filter { $0.decision.isCalibrated }.map(\.index))
    var placed: Set<Int> = []
    func place(_ name: String) -> Int? {
      numbers[name].flatMap { placed.insert($0).inserted ? $0 : nil }
    }
    var blocks: [[[Int]]] = []
    for block in description.blocks {
      blocks.append(block.linearsBySite.map { $0.compactMap { place($0.weight) } })
    }
    self.blocks = blocks
    let isHeadCalibrated =
      description.head.flatMap { numbers[$0.weight] }.map(calibrated.contains) ?? false
    head = isHeadCalibrated ? [description.head?.weight].compactMap { $0.flatMap(place) } : []
    for number in calibrated.sorted() where !placed.contains(number) {
      let tensor = planned[number]
      guard case .compress(let compression) = tensor.decision else { continue }
      throw .notCalibratable(
        tensor: tensor.tensor.name, rows: compression.view.rows,
        columns: compression.view.columns)
    }
    before = planned.map(\.index).filter { !placed.contains($0) }
    self.calibrated = calibrated
  }
}

extension TensorDecision {
  /// Whether a stage needs the statistics of the weight's input.
  var isCalibrated: Bool {
    guard case .compress(let compression) = self else { return false }
    return compression.stages.contains(where: \.isCalibrated)
  }
}
