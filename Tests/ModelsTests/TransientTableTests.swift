import Checkpoints
import Foundation
import Models
import Tensors
import TestSupport
import Testing

/// Tables under a memory cap: mapped, and out of memory again after each use.
@Suite struct TransientTableTests {
  private static let (vocabulary, width) = (16_384, 128)

  /// A one-block Llama whose table takes 8 MiB, the rest next to nothing.
  private func write(to folder: String) throws {
    try """
    {"model_type": "llama", "hidden_size": \(Self.width), "num_hidden_layers": 1,
     "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 64,
     "vocab_size": \(Self.vocabulary), "max_position_embeddings": 64,
     "tie_word_embeddings": true, "architectures": ["LlamaForCausalLM"]}
    """.write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
    let square = [Self.width, Self.width]
    let block = [
      ("input_layernorm", [Self.width]), ("post_attention_layernorm", [Self.width]),
      ("self_attn.q_proj", square), ("self_attn.k_proj", square), ("self_attn.v_proj", square),
      ("self_attn.o_proj", square), ("mlp.gate_proj", [64, Self.width]),
      ("mlp.up_proj", [64, Self.width]), ("mlp.down_proj", [Self.width, 64]),
    ].map { ("model.layers.0.\($0).weight", $1) }
    let tensors =
      [("model.embed_tokens.weight", [Self.vocabulary, Self.width])] + block
      + [("model.norm.weight", [Self.width])]
    let output = try CheckpointWriter.open(
      path: folder + "/model.safetensors",
      tensors: tensors.map {
        TensorDescription(name: $0.0, dtype: .f32, shape: Shape($0.1), storage: .empty)
      }, metadata: CheckpointMetadata())
    for (index, (name, shape)) in tensors.enumerated() {
      let values = Philox(seed: 5).normals(
        count: shape.reduce(1, *), tensor: UInt32(index), purpose: .sketch
      ).map { $0 * 0.1 }
      try values.withUnsafeBytes { try output.sink.write($0, to: name, at: 0) }
    }
    try output.sink.finish()
  }

  /// Bytes of a file's mappings that are in this process's memory; nil where nobody says.
  private func residentBytes(ofFileNamed name: String) -> Int? {
    // A handle, because the file's size says 0.
    guard let data = try? FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd(),
      let text = String(bytes: data, encoding: .utf8)
    else { return nil }
    var (total, isInside) = (0, false)
    for line in text.split(separator: "\n") {
      if line.first?.isHexDigit == true, line.contains("-") { isInside = line.hasSuffix(name) }
      guard isInside, line.hasPrefix("Rss:") else { continue }
      total += (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }
    return total
  }

  @Test func aTableLeavesMemoryAndScoresTheSame() throws {
    try SharedFiles.withTemporaryFolder { folder in
      try write(to: folder)
      let sequences = (0..<3).map { index in
        (0..<64).map { Int32(($0 * 104_729 + index * 7919) % Self.vocabulary) }
      }
      var values: [[[Double]]] = []
      var resident: [Int?] = []
      for mapped in [true, false] {
        let opened = try OpenedModel.open(folder, mapped: mapped)
        let model = try LanguageModel(
          opened.weights, residency: .oneBlock, pool: WorkerPool(workers: 2))
        values.append(try model.negativeLogLikelihoods(of: sequences))
        resident.append(residentBytes(ofFileNamed: folder + "/model.safetensors"))
        withExtendedLifetime(model) {}
      }
      #expect(values[0] == values[1])
      guard let kept = resident[0], let left = resident[1] else { return }
      let table = 4 * Self.vocabulary * Self.width
      #expect(kept >= table)
      #expect(left <= table / 8)
    }
  }
}
