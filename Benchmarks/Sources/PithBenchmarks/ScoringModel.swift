import Foundation
import Pith

/// The model that scoring is measured on.
enum ScoringModel {
  /// PITH_BENCH_MODEL, else a folder of random weights in the shape of a 6-layer Llama.
  static func path(_ context: BenchmarkContext) throws -> String {
    if let given = context.model { return given }
    let path = context.folder + "/random-llama"
    let shape = RandomLlama(
      hidden: 256, layers: 6, heads: 8, keyValueHeads: 4, inner: 704, vocabulary: 4096)
    try shape.write(to: path)
    return path
  }
}

/// A Llama of random weights: for speed and memory, not for sense.
struct RandomLlama {
  var hidden: Int
  var layers: Int
  var heads: Int
  var keyValueHeads: Int
  var inner: Int
  var vocabulary: Int
  var positions = 1024

  private var configuration: String {
    """
    {"model_type": "llama", "hidden_size": \(hidden), "num_hidden_layers": \(layers),
     "num_attention_heads": \(heads), "num_key_value_heads": \(keyValueHeads),
     "intermediate_size": \(inner), "vocab_size": \(vocabulary), "rms_norm_eps": 1e-5,
     "max_position_embeddings": \(positions), "tie_word_embeddings": false,
     "architectures": ["LlamaForCausalLM"]}
    """
  }

  private var tensors: [(name: String, shape: [Int])] {
    let narrow = hidden / heads * keyValueHeads
    var result = [("model.embed_tokens.weight", [vocabulary, hidden])]
    for layer in 0..<layers {
      let shapes = [
        ("input_layernorm", [hidden]), ("post_attention_layernorm", [hidden]),
        ("self_attn.q_proj", [hidden, hidden]), ("self_attn.k_proj", [narrow, hidden]),
        ("self_attn.v_proj", [narrow, hidden]), ("self_attn.o_proj", [hidden, hidden]),
        ("mlp.gate_proj", [inner, hidden]), ("mlp.up_proj", [inner, hidden]),
        ("mlp.down_proj", [hidden, inner]),
      ]
      result += shapes.map { ("model.layers.\(layer).\($0).weight", $1) }
    }
    return result + [("model.norm.weight", [hidden]), ("lm_head.weight", [vocabulary, hidden])]
  }

  /// Writes config.json and model.safetensors.
  func write(to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try configuration.write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
    var metadata = CheckpointMetadata()
    metadata.strings["format"] = "pt"
    let output = try CheckpointWriter.open(
      path: folder + "/model.safetensors",
      tensors: tensors.map {
        TensorDescription(name: $0.name, dtype: .f32, shape: Shape($0.shape), storage: .empty)
      }, metadata: metadata)
    let block = Philox(seed: 3).normals(count: 65_521, purpose: .perturbation)
    for (name, shape) in tensors {
      let deviation = 0.7 / Float(shape[shape.count - 1]).squareRoot()
      let values = (0..<shape.reduce(1, *)).map {
        shape.count == 1 ? 1 : block[$0 % block.count] * deviation
      }
      try values.withUnsafeBytes { try output.sink.write($0, to: name, at: 0) }
    }
    try output.sink.finish()
  }
}

/// Another provider's linear layers rounded to 4 bits in memory, groups of 128 (of the largest
/// power of two below where 128 does not divide the inputs).
struct FourBitWeights: WeightProvider {
  let base: any WeightProvider

  var description: ModelDescription { base.description }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    let weight = try base.weight(linear)
    guard case .dense(let dense)? = weight.base else { return weight }
    let matrix = Matrix(
      rows: linear.outputs, columns: linear.inputs, values: dense.values.floats())
    let granularity = GroupFallback.resolve(requested: 128, columns: linear.inputs).granularity
    let scheme = try IntegerScheme(bits: 4, granularity: granularity, clip: .none)
    return CompressedWeight(
      view: linear.view, base: .integer(try .roundToNearest(matrix, scheme: scheme)))
  }

  func vector(_ name: String, count: Int) throws -> [Float] {
    try base.vector(name, count: count)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try base.table(name, rows: rows, columns: columns)
  }
}
