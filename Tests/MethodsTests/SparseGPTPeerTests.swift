import Checkpoints
import Foundation
import LinearAlgebra
import Quantization
import Tensors
import Testing

@testable import Pruning
@testable import Weights

enum PeerLayer {
  static let path = ProcessInfo.processInfo.environment["PITH_PEER_LAYER"]
}

/// Weighted errors and processor times beside Benchmarks/Peers/sparsegpt_torch.py, on its layers.
///
/// Runs only where the environment names such a file: PITH_PEER_LAYER=layer.safetensors.
@Suite("SparseGPT beside torch", .enabled(if: PeerLayer.path != nil, "no PITH_PEER_LAYER"))
struct SparseGPTPeerTests {
  @Test func figures() throws {
    let source = try CheckpointOpener.open(try #require(PeerLayer.path))
    func matrix(_ name: String) throws -> Matrix<Float> {
      let tensor = try #require(source.tensor(named: name))
      return Matrix(
        rows: tensor.shape.dimensions[0], columns: tensor.shape.dimensions[1],
        values: try source.load(tensor).floats())
    }
    let weight = try matrix("weight")
    let gram = try matrix("gram").converted(to: Double.self)
    let dense = CompressedWeight.dense(weight)
    let four = try IntegerScheme(
      bits: 4, symmetric: false, granularity: .channel, clip: .meanSquare())
    for (name, amount, scheme, steps) in [
      ("50 %, the sweep alone", PruningSample.half, nil, 0),
      ("2:4, the sweep alone", try PruningSample.pattern(2, 4), nil, 0),
      ("4:8, the sweep alone", try PruningSample.pattern(4, 8), nil, 0),
      ("50 %", PruningSample.half, nil, 1), ("2:4", try PruningSample.pattern(2, 4), nil, 1),
      ("4:8", try PruningSample.pattern(4, 8), nil, 1),
      ("2:4 + 4 bits", try PruningSample.pattern(2, 4), four, 1),
    ] as [(String, PruneAmount, IntegerScheme?, Int)] {
      var best = Double.infinity
      var loss = 0.0
      for _ in 0..<3 {
        let start = clock()
        let result = try SparseGPT.prune(
          dense, gram: gram, amount: amount, rounding: scheme,
          options: SparseGPTOptions(steps: steps)
        ).weight
        best = min(best, Double(clock() - start) / Double(CLOCKS_PER_SEC))
        loss = try PruningSample.loss(result, weight, gram)
      }
      print("\(name)  error \(loss)  \(best) s")
    }
  }
}
