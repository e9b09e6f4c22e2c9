import Checkpoints
import LowRank
import Tensors
import Weights

/// What stages will store and what memory they need, from shapes alone.
enum StageForecast {
  /// Bytes that the parts of a weight take after all stages; exact for what is built in.
  static func storedBytes(
    of compression: TensorDecision.Compression, sourceType: DType
  ) -> Int {
    let rows = compression.view.rows
    let columns = compression.view.columns
    let type = compression.exactBaseType(for: sourceType) ?? .f32
    var base = BaseForecast(rows: rows, columns: columns, survivorBits: 8 * type.bytes)
    var outliers = 0
    var factors = 0
    var transform = 0
    for stage in compression.stages {
      switch stage {
      case .quantize(let scheme), .refitted(let scheme), .weightedRounding(let scheme),
        .hqq(let scheme):
        base.quantize(scheme)
      case .gptq(let scheme, let options):
        base.quantize(scheme)
        if options.weakColumns > 0 { outliers = options.weakColumns * (4 + rows * 2) }
      case .format(let format), .gptqFormat(let format, _), .refittedFormat(let format):
        base.store(format)
      case .prune(let choice):
        base.pruned = choice.amount
        if let scheme = choice.rounding?.scheme { base.quantize(scheme) }
      case .lowRank(let choice):
        factors += choice.factors.bytes(
          rows: rows, columns: columns, rank: choice.expectedRank(rows: rows, columns: columns))
        if choice.role != .repair {
          // The base holds the residual now, as plain numbers, or nothing any more.
          base = BaseForecast(
            rows: rows, columns: columns, survivorBits: choice.role == .replace ? 0 : 32)
        }
      case .outliers(let count, let type), .activationOutliers(let count, let type):
        outliers = count * (4 + rows * type.bytes)
      case .channelScale: transform += columns * 4
      case .hadamard: transform += columns
      case .activations: break
      }
    }
    return base.bytes + outliers + factors + transform
  }

  /// Memory that a weight's job needs at its peak.
  static func peakBytes(
    of tensor: TensorDescription, _ compression: TensorDecision.Compression
  ) -> Int {
    if compression.isStreamed { return streamingBytes(of: tensor) }
    // The values as read, the original, the weight before and after a stage, its encoding; with
    // several stages the allocator keeps one more. Measured: 4.9 matrices with one stage, 5.3 with
    // four, the values as read among them.
    let dense = tensor.shape.elementCount * 4
    var peak = tensor.byteCount + 5 * dense
    for stage in compression.stages {
      // A singular value decomposition holds the matrix, both factors and LAPACK's workspace;
      // measured: 11.8 matrices for a square one, fewer for others.
      // CorDA's is in f64, with the weight times the covariance beside it.
      if case .lowRank(let choice) = stage {
        let copies = choice.isCalibrated ? 26 : 12
        let width = choice.isCalibrated ? compression.view.columns : 0
        peak = max(peak, tensor.byteCount + copies * dense + 24 * width * width)
      }
      // The Gram matrix as read and as prepared in f64, with a copy for its order, its damped form
      // and the refit in f32.
      if stage.isCalibrated {
        let width = compression.view.columns
        peak = max(peak, tensor.byteCount + 7 * dense + 32 * width * width)
        // Rows as lanes: targets, differences and errors; steps take three more of a tile's rows.
        if case .prune(let choice) = stage, choice.method == .sparseGPT {
          peak = max(peak, tensor.byteCount + 12 * dense + 32 * width * width)
        }
      }
    }
    return peak
  }

  /// Memory of a job that goes through in pieces.
  static func streamingBytes(of tensor: TensorDescription) -> Int {
    let piece = max(TensorJob.pieceBytes, tensor.rowByteCount)
    return 2 * piece + piece * 4 / max(tensor.dtype.bytes, 1) + (1 << 20)
  }

  /// Memory that is taken for a whole run: the program, and statistics where it uses any.
  static func residentBytes(_ calibration: CalibrationInput?) -> Int {
    baseBytes + (calibration?.statistics.byteCount ?? 0)
  }

  /// Memory of the program itself and its libraries, before any tensor.
  static let baseBytes = 64 << 20

  /// Processor time of a job in seconds, from measured rates of this kind of machine; a forecast
  /// that only ranks and warns, never a promise.
  static func seconds(
    of tensor: TensorDescription, _ compression: TensorDecision.Compression?, hashing: Bool
  ) -> Double {
    let bytes = Double(tensor.byteCount)
    var seconds = bytes / 5e9 + (hashing ? bytes / 1.5e9 : 0)
    guard let compression else { return seconds }
    let rows = Double(compression.view.rows)
    let columns = Double(compression.view.columns)
    for stage in compression.stages {
      switch stage {
      case .hqq: seconds += rows * columns * 4 / 2e7
      case .quantize(let scheme), .gptq(let scheme, _), .refitted(let scheme),
        .weightedRounding(let scheme):
        let candidates: Double =
          if case .meanSquare(let steps, _) = scheme.clip { Double(steps) / 2 } else { 1 }
        seconds += rows * columns * 4 / 1.2e9 * candidates
        // A factor of the Gram matrix, one sweep of the rows and one of the refit.
        if stage.isCalibrated {
          seconds += (columns / 3 + 3 * rows) * columns * columns / 40e9
        }
      case .format: seconds += rows * columns * 4 / 1e8
      case .gptqFormat, .refittedFormat:
        seconds += rows * columns * 4 / 1e8
        seconds += (columns + 3 * rows) * columns * columns / 10e9
      case .lowRank: seconds += 16 * rows * columns * min(rows, columns) / 40e9
      case .activations: break
      case .prune(let choice):
        seconds += rows * columns / 5e7
        switch choice.method {
        case .sparseGPT: seconds += (columns / 3 + 3 * rows) * columns * columns / 40e9
        case .optimalBrain: seconds += rows * columns * columns * columns / 2e9
        default: break
        }
        if choice.isRefitting { seconds += 60 * rows * columns * columns / 20e9 }
      case .outliers, .activationOutliers, .channelScale, .hadamard:
        seconds += rows * columns / 2e8
      }
    }
    return seconds
  }
}
