import Architectures
import Models
import Tensors
import Weights

/// Weights drawn at random under any configuration: for speed, memory and determinism, not sense.
struct RandomWeights: WeightProvider {
  let description: ModelDescription

  init(_ configuration: String) throws {
    description = try ModelDescription(configuration: configuration)
  }

  private func normals(_ name: String, _ count: Int, deviation: Float) -> [Float] {
    let tensor = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    let block = Philox(seed: 3).normals(
      count: min(count, 4096), tensor: tensor, purpose: .perturbation)
    return (0..<count).map { block[$0 % block.count] * deviation }
  }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    let values = normals(
      linear.weight, linear.outputs * linear.inputs,
      deviation: 0.7 / Float(linear.inputs).squareRoot())
    return CompressedWeight(
      view: linear.view,
      base: .dense(
        DenseBase(
          values: Tensor(dtype: .f32, shape: [linear.outputs, linear.inputs], array: values))))
  }

  func vector(_ name: String, count: Int) throws -> [Float] {
    name.hasSuffix("bias")
      ? normals(name, count, deviation: 0.1) : Array(repeating: 1, count: count)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    FloatTable(floats: normals(name, rows * columns, deviation: 0.5), rows: rows, columns: columns)
  }

  /// A Llama configuration.
  static func llama(
    hidden: Int, layers: Int, heads: Int, keyValueHeads: Int, inner: Int, vocabulary: Int,
    positions: Int = 1024
  ) -> String {
    """
    {"model_type": "llama", "hidden_size": \(hidden), "num_hidden_layers": \(layers),
     "num_attention_heads": \(heads), "num_key_value_heads": \(keyValueHeads),
     "intermediate_size": \(inner), "vocab_size": \(vocabulary),
     "max_position_embeddings": \(positions), "architectures": ["LlamaForCausalLM"]}
    """
  }
}
