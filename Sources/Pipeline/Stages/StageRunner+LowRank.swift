import Architectures
import Checkpoints
import LinearAlgebra
import LowRank
import Tensors
import Weights

extension StageRunner {
  /// A low-rank stage with the statistics of the input as the parts meet it.
  ///
  /// - Parameter quantizer: the stage that an alternating method takes turns with.
  static func lowRank(
    _ choice: LowRankChoice, _ weight: CompressedWeight, _ original: Matrix<Float>,
    quantizer: ResolvedStage?, tensor: String, statistics: InputStatistics?, pool: WorkerPool,
    notes: inout [String]
  ) throws -> CompressedWeight {
    let input = try lowRankStatistics(choice, weight, tensor: tensor, statistics)
    let view = WeightView(rows: weight.rows, columns: weight.columns)
    let result = try LowRankStage.run(
      choice, on: weight, original: original, statistics: input,
      quantizer: quantizer.map { stage in
        { matrix in
          var ignored: [String] = []
          return try run(
            matrix, TensorDecision.Compression(view: view, stages: [stage], notes: []),
            sourceType: .f32, tensor: tensor, statistics: statistics, pool: pool, notes: &ignored)
        }
      }, pool: pool)
    notes += result.notes
    return result.weight
  }

  /// The statistics that a low-rank stage needs, as the weight's parts meet the input.
  static func lowRankStatistics(
    _ choice: LowRankChoice, _ weight: CompressedWeight, tensor: String,
    _ statistics: InputStatistics?
  ) throws -> LowRankStatistics {
    var input = LowRankStatistics()
    if choice.isCalibrated, let statistics {
      input = LowRankStatistics(
        gram: statistics.gram,
        absoluteMeans: statistics.absoluteSums.map { $0 / Double(max(statistics.rows, 1)) },
        rows: statistics.rows)
      for transform in weight.site?.transforms ?? [] {
        if var gram = input.gram {
          input.gram = nil; transform.apply(toGram: &gram); input.gram = gram
        }
        input.absoluteMeans = input.absoluteMeans.map { transform.applied(toMeans: $0) }
      }
    }
    if let path = choice.fisher {
      input.fisher = try fisher(path, tensor: tensor, weight.view)
    }
    return input
  }

  /// The Fisher information of each input from a checkpoint: a tensor of the weight's name, in its
  /// own layout, summed over outputs, or one number for each input.
  private static func fisher(
    _ path: String, tensor: String, _ view: WeightView
  ) throws -> [Double] {
    let source = try CheckpointOpener.open(path)
    guard let description = source.tensor(named: tensor) else {
      throw PipelineError.tensorMissing(tensor: tensor, path: path)
    }
    let values = try source.load(description).floats()
    if values.count == view.columns { return values.map(Double.init) }
    guard values.count == view.rows * view.columns else {
      throw PipelineError.shapeMismatch(
        tensor: tensor, artefact: [view.rows, view.columns],
        model: description.shape.dimensions, path: path)
    }
    let matrix = view.matrix(from: values)
    var sums = [Double](repeating: 0, count: view.columns)
    for row in 0..<view.rows {
      for column in 0..<view.columns { sums[column] += Double(matrix[row, column]) }
    }
    return sums
  }
}

extension InputTransform {
  /// The mean of |T(x)| from that of |x|; a rotation leaves each input about the same.
  fileprivate func applied(toMeans means: [Double]) -> [Double] {
    switch self {
    case .scale(let tensor): zip(means, tensor.floats()).map { $0 / Double($1) }
    case .permutation(let tensor):
      tensor.bytes.array(of: Int32.self).map { means[Int($0)] }
    case .hadamard:
      Array(
        repeating: (means.reduce(0) { $0 + $1 * $1 } / Double(max(means.count, 1))).squareRoot(),
        count: means.count)
    }
  }
}
