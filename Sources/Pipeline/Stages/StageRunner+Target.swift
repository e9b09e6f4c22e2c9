import Architectures
import Quantization
import Tensors

extension StageRunner {
  /// What the stages of a weight work on: the original, or, where a calibrated stage knows how far
  /// the input has drifted from the dense model's, the weight that makes good for it.
  static func target(
    _ original: Matrix<Float>, _ compression: TensorDecision.Compression,
    _ statistics: InputStatistics?, pool: WorkerPool
  ) throws -> Matrix<Float> {
    guard let statistics, let drift = statistics.drift, let gram = statistics.gram,
      compression.stages.contains(where: \.isCalibrated)
    else { return original }
    return try DriftCorrection.target(
      original, gram: gram, inputs: drift.inputs, stream: drift.stream, pool: pool)
  }
}
