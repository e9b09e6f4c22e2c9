import Foundation

/// A safetensors file of pseudo-random matrices, made in a moment.
enum RandomModel {
  static func write(to path: String, matrices: Int, rows: Int, columns: Int) throws {
    let bytes = rows * columns * 4
    let entries = (0..<matrices).map { index in
      "\"layers.\(index).weight\":{\"dtype\":\"F32\",\"shape\":[\(rows),\(columns)],"
        + "\"data_offsets\":[\(index * bytes),\((index + 1) * bytes)]}"
    }
    var header = "{" + entries.joined(separator: ",") + "}"
    while header.utf8.count % 8 != 0 { header += " " }
    var data = Data()
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(contentsOf: Array(header.utf8))
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    let values = (0..<matrices * rows * columns).map { _ -> Float in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-31
    }
    values.withUnsafeBytes { data.append(contentsOf: $0) }
    try data.write(to: URL(fileURLWithPath: path))
  }
}

extension RandomModel {
  /// A folder with a Llama of pseudo-random f16 weights: 2,048 tokens, `width` wide, feed-forward
  /// four times that, with a tokenizer of as many tokens.
  static func writeLlama(to folder: String, width: Int, layers: Int, tokenizer: String) throws {
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    let configuration = """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": \(width), \
      "intermediate_size": \(4 * width), "num_hidden_layers": \(layers), \
      "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 2048, \
      "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "silu", \
      "rope_theta": 10000.0, "tie_word_embeddings": true, "torch_dtype": "float16"}
      """
    try configuration.write(
      toFile: folder + "/config.json", atomically: true, encoding: .utf8)
    try FileManager.default.copyItem(atPath: tokenizer, toPath: folder + "/tokenizer.json")
    var tensors: [(name: String, shape: [Int])] = [("model.embed_tokens.weight", [2048, width])]
    for layer in 0..<layers {
      let prefix = "model.layers.\(layer)."
      for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
        tensors.append((prefix + "self_attn.\(name).weight", [width, width]))
      }
      for name in ["gate_proj", "up_proj"] {
        tensors.append((prefix + "mlp.\(name).weight", [4 * width, width]))
      }
      tensors.append((prefix + "mlp.down_proj.weight", [width, 4 * width]))
      tensors.append((prefix + "input_layernorm.weight", [width]))
      tensors.append((prefix + "post_attention_layernorm.weight", [width]))
    }
    tensors.append(("model.norm.weight", [width]))
    var place = 0
    let entries = tensors.map { tensor in
      let bytes = tensor.shape.reduce(2, *)
      defer { place += bytes }
      return "\"\(tensor.name)\":{\"dtype\":\"F16\",\"shape\":\(tensor.shape),"
        + "\"data_offsets\":[\(place),\(place + bytes)]}"
    }
    var header = "{" + entries.joined(separator: ",") + "}"
    while header.utf8.count % 8 != 0 { header += " " }
    let path = folder + "/model.safetensors"
    var start = Data()
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { start.append(contentsOf: $0) }
    start.append(contentsOf: Array(header.utf8))
    try start.write(to: URL(fileURLWithPath: path))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { try? file.close() }
    try file.seekToEnd()
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    for tensor in tensors {
      let isNorm = tensor.shape.count == 1
      let values = (0..<tensor.shape.reduce(1, *)).map { _ -> UInt16 in
        // Halves of both signs between 2^-6 and 2^-4; norms are 1.
        if isNorm { return 0x3C00 }
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt16(truncatingIfNeeded: state >> 48) & 0x8BFF | 0x2400
      }
      try values.withUnsafeBytes { try file.write(contentsOf: Data($0)) }
    }
  }
}
