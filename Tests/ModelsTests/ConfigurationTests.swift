import Architectures
import Checkpoints
import Foundation
import Models
import Tensors
import TestSupport
import Testing
import Weights

@Suite struct ConfigurationTests {
  private func message(_ configuration: String) -> String {
    do {
      _ = try ModelDescription(configuration: configuration)
      return "none"
    } catch {
      return error.description
    }
  }

  private func text(_ name: String) throws -> String {
    try String(
      contentsOfFile: SharedFiles.fixture("forward/\(name)/config.json"), encoding: .utf8)
  }

  @Test func unknownAndRefusedModelsAreToldWithTheKnownOnes() throws {
    let unknown = message(#"{"model_type": "falcon"}"#)
    #expect(unknown.hasPrefix("the model type 'falcon' is not one that can be run; known are bert"))
    #expect(unknown.contains("statistics from a file"))
    for (type, reason) in [
      ("gemma2", "Gemma"), ("phi3", "Phi"), ("mixtral", "mixtures"), ("qwen2_moe", "mixtures"),
    ] {
      #expect(message(#"{"model_type": "\#(type)"}"#).contains("\(reason) "))
    }
    #expect(message("[1]").contains("no object"))
    #expect(message("{").contains("not valid JSON"))
    #expect(message("{}").contains("'none given'"))
  }

  @Test func oddValuesAreNamed() throws {
    let llama = try text("llama3")
    func edited(_ from: String, _ to: String) -> String {
      let changed = llama.replacingOccurrences(of: from, with: to)
      #expect(changed != llama)
      return message(changed)
    }
    #expect(edited(#""hidden_size": 16,"#, "").contains("has no 'hidden_size'"))
    #expect(edited(#""hidden_size": 16"#, #""hidden_size": "x""#).contains("'hidden_size' = \"x\""))
    #expect(
      edited(#""num_key_value_heads": 1"#, #""num_key_value_heads": 3"#).contains(
        "key/value heads must divide"))
    #expect(edited(#""llama3""#, #""yarn""#).contains("supported: default, linear, llama3"))
    #expect(edited(#""silu""#, #""mish""#).contains("'hidden_act' = 'mish'"))
    #expect(edited(#""factor": 8.0"#, #""factor": -1"#).contains("rope_parameters.factor"))
    #expect(edited(#""vocab_size": 67"#, #""vocab_size": 0"#).contains("positive whole number"))
  }

  @Test func missingAndMisshapenTensorsAreNamedWithWhereTheShapeFollowsFrom() throws {
    let source = try CheckpointOpener.open(SharedFiles.fixture("forward/qwen2/model.safetensors"))
    let configuration = try text("qwen2")
    let missing = source.tensors.filter { !$0.name.hasSuffix("1.self_attn.k_proj.bias") }
    #expect(
      throws: ArchitectureError.missingTensors([
        MissingTensor(
          name: "model.layers.1.self_attn.k_proj.bias", shape: [8],
          from: "num_key_value_heads × head_dim = 8, hidden_size = 16")
      ])
    ) { try ModelDescription.resolve(configuration: configuration, tensors: missing) }
    let wider = configuration.replacingOccurrences(
      of: #""intermediate_size": 40"#, with: #""intermediate_size": 48"#)
    #expect(
      throws: ArchitectureError.wrongShape(
        tensor: "model.layers.0.mlp.gate_proj.weight", found: [40, 16], expected: [48, 16],
        from: "intermediate_size = 48, hidden_size = 16")
    ) { try ModelDescription.resolve(configuration: wider, tensors: source.tensors) }
    let extra =
      source.tensors + [
        TensorDescription(name: "score.weight", dtype: .f32, shape: [2, 16], storage: .empty)
      ]
    let found = try ModelDescription.resolve(configuration: configuration, tensors: extra)
    #expect(found.unused == ["score.weight"])
  }

  @Test func bareNamesAndOldNormNamesAreFound() throws {
    let bare = try Golden("bert_bare").weights
    #expect(!bare.description.naming.prefixed)
    #expect(bare.unused.contains("pooler.dense.weight"))
    let source = try CheckpointOpener.open(SharedFiles.fixture("forward/bert/model.safetensors"))
    let old = source.tensors.map { tensor in
      TensorDescription(
        name: tensor.name.replacingOccurrences(of: "LayerNorm.weight", with: "LayerNorm.gamma")
          .replacingOccurrences(of: "LayerNorm.bias", with: "LayerNorm.beta"),
        dtype: tensor.dtype, shape: tensor.shape, storage: tensor.storage)
    }
    let found = try ModelDescription.resolve(configuration: text("bert"), tensors: old)
    #expect(found.description.naming.gammaBeta)
  }

  @Test func rolesAndSitesTellWhoReadsWhat() throws {
    let qwen = try Golden("qwen2").weights.description
    let roles = qwen.roles
    #expect(roles["model.embed_tokens.weight"] == .embedding)
    #expect(roles["lm_head.weight"] == .head)
    #expect(
      roles["model.layers.1.mlp.up_proj.weight"]
        == .linear(block: 1, site: "model.layers.1.mlp.gate_proj"))
    #expect(roles["model.norm.weight"] == .norm)
    #expect(roles["model.layers.0.self_attn.q_proj.bias"] == .bias)
    #expect(qwen.blocks.map(\.window) == [nil, 4])
    #expect(
      qwen.blocks[0].sites.map(\.readers.count) == [3, 1, 2, 1])
    let gpt = try Golden("gpt2").weights.description
    #expect(gpt.blocks[0].linears.allSatisfy { $0.layout == .outputsLast })
    #expect(gpt.roles["transformer.wpe.weight"] == .position)
  }

  @Test func bothSpellingsOfRotaryParametersSayTheSame() throws {
    let new = try ModelDescription(configuration: text("llama3"))
    guard case .rotary(let encoding) = new.positions else {
      Issue.record("no rotary positions")
      return
    }
    #expect(
      encoding.scaling
        == .llama3(
          factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 16))
    #expect(encoding.theta == 100)
    let old = try ModelDescription(configuration: text("llama"))
    #expect(old.positions == .rotary(RotaryEncoding(theta: 500, scaling: .linear(factor: 2))))
  }
}
