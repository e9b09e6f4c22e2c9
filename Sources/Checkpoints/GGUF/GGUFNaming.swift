/// From GGUF's tensor names to those of Hugging Face checkpoints.
///
/// The way back of what exporters do: names, and for architectures whose rotary pairs are
/// neighbours in GGUF, the order of the rows of queries and keys.
struct GGUFNaming {
  let architecture: String
  let heads: Int
  let keyValueHeads: Int

  /// Architectures whose tensors have counterparts here.
  static let known = ["llama", "qwen2", "qwen3", "gpt2"]

  private static let llama = [
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
  ]
  private static let gpt2 = [
    "attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj",
  ]

  /// What a tensor is here.
  struct Place {
    var name: String
    /// Heads whose rows change places; nil as they are.
    var rotaryHeads: Int?
    /// Whether the checkpoint has the axes the other way round (GPT-2's Conv1D).
    var isTransposed = false
  }

  /// Nil for tensors that checkpoints do not have (`rope_freqs.weight`).
  func place(of name: String) -> Place? {
    if name == "rope_freqs.weight" { return nil }
    let isGPT2 = architecture == "gpt2"
    let parts = name.split(separator: ".").map(String.init)
    guard parts.count >= 2, let kind = parts.last else { return Place(name: name) }
    if parts.count == 2 {
      let trunk = [
        "token_embd": isGPT2 ? "transformer.wte" : "model.embed_tokens",
        "position_embd": "transformer.wpe",
        "output_norm": isGPT2 ? "transformer.ln_f" : "model.norm", "output": "lm_head",
      ]
      return Place(name: (trunk[parts[0]] ?? parts[0]) + "." + kind)
    }
    guard parts.count == 4, parts[0] == "blk",
      let module = (isGPT2 ? Self.gpt2 : Self.llama)[parts[2]]
    else { return Place(name: name) }
    let prefix = isGPT2 ? "transformer.h." : "model.layers."
    var place = Place(name: prefix + parts[1] + "." + module + "." + kind)
    if architecture == "llama" {
      if parts[2] == "attn_q" { place.rotaryHeads = heads }
      if parts[2] == "attn_k" { place.rotaryHeads = keyValueHeads }
    }
    place.isTransposed =
      isGPT2 && kind == "weight" && !parts[2].hasSuffix("norm")
    return place
  }
}
