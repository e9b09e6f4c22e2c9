import Checkpoints
import Foundation
import JSONText
import Tensors
import TestSupport
import Testing
import Weights

@testable import Interchange

@Suite("PEFT adapters")
struct PEFTTests {
  static func tensor(_ rows: Int, _ columns: Int, seed: UInt64, as type: DType = .f32) throws
    -> Tensor
  {
    let values = Philox(seed: seed).normals(count: rows * columns, purpose: .sampling)
    let bytes = try Bytes(count: values.count * type.bytes) { target in
      try values.withUnsafeBufferPointer { try FloatConversion.encode($0, as: type, into: target) }
    }
    return try Tensor(dtype: type, shape: [rows, columns], bytes: bytes)
  }

  static func module(
    _ name: String, rank: Int, scale: Double = 1, as type: DType = .f32
  ) throws -> PEFTAdapter.Module {
    PEFTAdapter.Module(
      name: name, a: try tensor(rank, 12, seed: 1, as: type),
      b: try tensor(8, rank, seed: 2, as: type), scale: scale)
  }

  @Test("names, shapes, types and the scale of every module come back (check 16)")
  func roundTrip() throws {
    let adapter = PEFTAdapter(
      modules: [
        try Self.module("model.layers.0.q_proj", rank: 4),
        try Self.module("model.layers.1.q_proj", rank: 4, as: .f16),
        try Self.module("model.layers.0.o_proj", rank: 2),
        try Self.module("model.layers.1.o_proj", rank: 3, scale: 0.5, as: .bf16),
        try Self.module("model.layers.0.up_proj", rank: 4, scale: 2),
      ], fanInFanOut: true, basePath: "there")
    try SharedFiles.withTemporaryFolder { folder in
      let layers = ["q_proj", "o_proj", "up_proj"].flatMap { leaf in
        (0..<2).map { "model.layers.\($0).\(leaf)" }
      }
      try adapter.write(toFolder: folder, layers: layers)
      let back = try PEFTAdapter(folder: folder)
      #expect(back.fanInFanOut && back.basePath == "there")
      #expect(back.modules.map(\.name) == adapter.modules.map(\.name))
      for (found, expected) in zip(back.modules, adapter.modules) {
        #expect(found.scale == expected.scale && found.rank == expected.rank)
        #expect(found.a.dtype == expected.a.dtype && found.b.shape == expected.b.shape)
        #expect(found.path.decoded() == expected.path.decoded())
      }
      let text = try String(contentsOfFile: folder + "/adapter_config.json", encoding: .utf8)
      let object = try JSONParser.parse(text)
      #expect(object["init_lora_weights"] == true && object["r"] == 4 && object["lora_alpha"] == 4)
      // Only a leaf that every layer of its name has may stand alone.
      #expect(
        object["target_modules"]?.array?.compactMap(\.string)
          == ["model.layers.0.up_proj", "o_proj", "q_proj"])
      #expect(object["rank_pattern"]?["model.layers.0.o_proj"] == 2)
      #expect(object["alpha_pattern"]?["model.layers.0.o_proj"] == 2)
      #expect(object["alpha_pattern"]?["model.layers.0.up_proj"] == 8)
      #expect(object["rank_pattern"]?["model.layers.0.up_proj"] == nil)
    }
  }

  @Test("scales are read as peft reads them")
  func scales() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let adapter = PEFTAdapter(modules: [
        try Self.module("layers.0.q", rank: 4), try Self.module("layers.1.q", rank: 2),
      ])
      try adapter.write(toFolder: folder, layers: [])
      func scales(_ text: String) throws -> [Double] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/adapter_config.json"))
        return try PEFTAdapter(folder: folder).modules.map(\.scale)
      }
      #expect(try scales("{\"r\": 4, \"lora_alpha\": 8}") == [2, 4])
      #expect(try scales("{\"lora_alpha\": 8, \"use_rslora\": true}") == [4, 8 / 2.0.squareRoot()])
      #expect(try scales("{}") == [2, 4])
      #expect(try scales("{\"lora_alpha\": 4, \"alpha_pattern\": {\"layers.1.q\": 6}}") == [1, 3])
      #expect(
        try scales("{\"lora_alpha\": 4, \"alpha_pattern\": {\"layers\\\\.[1-9].*\": 6}}") == [1, 3])
      for bad in [
        "{\"peft_type\": \"IA3\"}", "{\"use_dora\": true}",
        "{\"init_lora_weights\": \"pissa_niter_4\"}",
        "{\"modules_to_save\": [\"lm_head\"]}", "{\"bias\": \"all\"}", "[",
      ] {
        #expect(throws: InterchangeError.self) { try scales(bad) }
      }
    }
  }

  @Test("paths of quantized factors, several of them, through transforms, become one pair")
  func paths() throws {
    let a = try Self.tensor(3, 12, seed: 3)
    let b = try Self.tensor(8, 3, seed: 4)
    var weight = CompressedWeight.dense(Matrix<Float>(rows: 8, columns: 12, repeating: 0))
    weight.lowRank = [
      LowRankPath(b: .dense(DenseBase(values: b)), a: .dense(DenseBase(values: a)), scale: 0.5),
      LowRankPath(
        b: .dense(DenseBase(values: b)), a: .dense(DenseBase(values: a)),
        sigma: Tensor(dtype: .f32, shape: [3], array: [Float(1), 2, 3])),
    ]
    weight.site = Site(transforms: [
      .scale(Tensor(dtype: .f32, shape: [12], array: (0..<12).map { Float($0 + 1) }))
    ])
    let module = try PEFTExport.adapter(of: weight, name: "x")
    #expect(module.rank == 6 && module.scale == 1)
    let (found, expected) = (module.path.decoded(), weight.decoded())
    for (left, right) in zip(found.values, expected.values) { #expect(abs(left - right) < 1e-5) }
  }
}
