import Foundation
import LinearAlgebra
import Tensors
import Weights

/// Activation-aware scales: loud inputs' columns are made larger before rounding, so that their
/// relative error falls.
///
/// Lin and others 2023, arXiv 2306.00978. Tried are s = a^r and s = a^r / w̄^(1−r), a the inputs' mean
/// absolute values and w̄ the columns' mean share of their group's largest weight, r on a grid, each
/// divided by √(max·min). The layers' own output error decides, Σ tr(D·G·Dᵀ) over the readers with
/// D = Q(W·s)/s − W, where the original runs the block that holds them; the Gram matrix says the
/// same of a layer without its inputs.
public enum AWQ {
  public struct Options: Sendable, Hashable {
    /// Steps of r from 0 to 1, 1 left out.
    public var grid: Int
    /// Whether the columns' own shares are tried as well.
    public var usesWeights: Bool

    public init(grid: Int = 20, usesWeights: Bool = true) {
      self.grid = grid
      self.usesWeights = usesWeights
    }
  }

  /// What a search found.
  public struct Choice: Sendable {
    /// One number a channel, positive and finite; all 1 when nothing was better than that.
    public var scale: [Float]
    public var ratio: Double
    /// Σ tr(D·G·Dᵀ) over the readers' energies, with the scale and with 1 throughout.
    public var error: Double
    public var errorBefore: Double
  }

  /// The scale whose readers lose least.
  ///
  /// (1) Never worse than a scale of 1: that is the first candidate, and wins ties; (2) positive and
  /// finite whatever the activations, channels that are never active taking part at 1e-4 of the
  /// loudest; (3) the same bits with any number of workers.
  ///
  /// - Parameters:
  ///   - activations: mean |x_j|.
  ///   - gram: Σ xᵀx.
  ///   - readers: the weights of the layers that read the input, out × in.
  ///   - reach: inputs that share a scale, for the columns' shares.
  ///   - tie: makes channels agree that must have one scale.
  ///   - quantize: a reader's number and its scaled weight → what the codes will stand for.
  ///   - confirming: the same without short cuts, the scale given as well; the scale found must be
  ///     better than 1 under it too.
  public static func search(
    activations: [Float], gram: Matrix<Double>, readers: [Matrix<Float>], reach: Int,
    options: Options = Options(), tie: ([Float]) -> [Float] = { $0 },
    quantize: (Int, Matrix<Float>) throws -> Matrix<Float>,
    confirming: ((Int, Matrix<Float>, [Float]) throws -> Matrix<Float>)? = nil,
    pool: WorkerPool = .serial
  ) throws -> Choice {
    try SmoothingInput.check(activations, named: "activations")
    let width = activations.count
    for reader in readers {
      guard reader.columns == width, gram.rows == width, gram.columns == width else {
        throw QuantizationError.statisticsMismatch(
          rows: reader.rows, columns: reader.columns, gram: [gram.rows, gram.columns])
      }
    }
    let problem = try Problem(gram: gram, readers: readers, pool: pool)
    let ones = [Float](repeating: 1, count: width)
    let before = try problem.error(ones, quantize)
    var best = Choice(scale: ones, ratio: 0, error: before, errorBefore: before)
    guard let loudest = activations.max(), loudest > 0 else { return best }
    let floored = activations.map { Double(max($0, 1e-4 * loudest)) }
    let shares = options.usesWeights ? columnShares(readers, reach: reach) : nil
    for step in 0..<options.grid {
      let ratio = Double(step) / Double(options.grid)
      var candidates = step == 0 ? [] : [floored.map { pow($0, ratio) }]
      if let shares {
        candidates.append(
          zip(floored, shares).map { pow($0, ratio) / (pow($1, 1 - ratio) + 1e-4) })
      }
      for candidate in candidates {
        let scale = tie(normalized(candidate))
        let error = try problem.error(scale, quantize)
        if error < best.error {
          best.scale = scale
          best.ratio = ratio
          best.error = error
        }
      }
    }
    guard let confirming, best.scale != ones else { return best }
    best.errorBefore = try problem.error(ones) { try confirming($0, $1, ones) }
    best.error = try problem.error(best.scale) { try confirming($0, $1, best.scale) }
    if best.error >= best.errorBefore {
      return Choice(scale: ones, ratio: 0, error: best.errorBefore, errorBefore: best.errorBefore)
    }
    return best
  }

  /// s / √(max·min), within f32's comfort.
  static func normalized(_ scale: [Double]) -> [Float] {
    let largest = scale.max() ?? 1
    let smallest = scale.min() ?? 1
    let middle = (largest * smallest).squareRoot()
    guard middle.isFinite, middle > 0 else { return scale.map { _ in 1 } }
    return scale.map { SmoothingInput.bounded($0 / middle) }
  }

  /// The mean over all rows of |W| / max|W| of its group, by column.
  static func columnShares(_ readers: [Matrix<Float>], reach: Int) -> [Double] {
    let width = readers.first?.columns ?? 0
    var sums = [Double](repeating: 0, count: width)
    var rows = 0
    for weight in readers {
      rows += weight.rows
      for row in 0..<weight.rows {
        for start in stride(from: 0, to: width, by: max(reach, 1)) {
          let range = row * width + start..<row * width + min(start + reach, width)
          var largest: Float = 1e-6
          for place in range { largest = max(largest, abs(weight.values[place])) }
          for place in range {
            sums[place - row * width] += Double(abs(weight.values[place]) / largest)
          }
        }
      }
    }
    return sums.map { max($0 / Double(max(rows, 1)), 1e-6) }
  }

  /// The readers' error as a function of the scale.
  private struct Problem {
    /// G over its mean diagonal, f32: only differences between candidates count.
    let gram: Matrix<Float>
    let readers: [Matrix<Float>]
    /// 1 / tr(W·G·Wᵀ) of each reader.
    let weights: [Double]
    let pool: WorkerPool

    init(gram: Matrix<Double>, readers: [Matrix<Float>], pool: WorkerPool) throws {
      let mean = (0..<gram.rows).reduce(0.0) { $0 + gram[$1, $1] } / Double(max(gram.rows, 1))
      guard mean.isFinite, gram.values.allSatisfy(\.isFinite) else {
        throw QuantizationError.statisticsNotFinite(row: 0, column: 0)
      }
      let factor = mean > 0 ? 1 / mean : 0
      self.gram = Matrix(
        rows: gram.rows, columns: gram.columns, values: gram.values.map { Float($0 * factor) })
      self.readers = readers
      self.pool = pool
      var weights: [Double] = []
      for reader in readers {
        let energy = try Self.energy(reader, self.gram, pool)
        weights.append(energy > 0 ? 1 / energy : 0)
      }
      self.weights = weights
    }

    func error(
      _ scale: [Float], _ quantize: (Int, Matrix<Float>) throws -> Matrix<Float>
    ) throws -> Double {
      var total = 0.0
      for (index, weight) in readers.enumerated() where weights[index] > 0 {
        let columns = weight.columns
        var scaled = weight
        for row in 0..<weight.rows {
          let start = row * columns
          for column in 0..<columns { scaled.values[start + column] *= scale[column] }
        }
        var difference = try quantize(index, scaled)
        for row in 0..<weight.rows {
          let start = row * columns
          for column in 0..<columns {
            let place = start + column
            difference.values[place] =
              difference.values[place] / scale[column] - weight.values[place]
          }
        }
        total += try Self.energy(difference, gram, pool) * weights[index]
      }
      return total
    }

    private static func energy(
      _ matrix: Matrix<Float>, _ gram: Matrix<Float>, _ pool: WorkerPool
    ) throws -> Double {
      let product = try Gemm.product(matrix, gram, pool: pool)
      var sum = 0.0
      for index in matrix.values.indices {
        sum += Double(matrix.values[index]) * Double(product.values[index])
      }
      return max(0, sum)
    }
  }
}
