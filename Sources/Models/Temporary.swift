import Tensors
import Weights

extension CompressedWeight {
  func multiply(
    _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, pool: WorkerPool
  ) throws {
    throw ModelError.noHead(modelType: "compressed")
  }
}
