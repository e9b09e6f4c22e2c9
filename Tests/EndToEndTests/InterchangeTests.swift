import Foundation
import JSONText
import Pith
import TestSupport
import Testing

/// Artefacts in other tools' formats and back: the same codes, scales and values.
@Suite struct InterchangeTests {
  private static let model = SharedFiles.fixture("nanollama")

  static func compressed(_ stages: String, in folder: String) throws -> String {
    let recipe = folder + "/recipe.yaml"
    try "version: 1\nname: interchange\nstages:\n\(stages)\n".write(
      toFile: recipe, atomically: true, encoding: .utf8)
    let output = folder + "/a.h5"
    let run = try Program.run([
      "compress", recipe, "--model", model, "--output", output, "--force",
    ])
    #expect(run.status == 0, "\(run.error)")
    return output
  }

  /// Every weight's values, and how its inputs are rounded.
  static func weights(
    of path: String
  ) throws -> [String: (values: [Float], inputs: ActivationScheme?)] {
    let artefact = try ArtefactFile(path: path)
    var result: [String: (values: [Float], inputs: ActivationScheme?)] = [:]
    for name in artefact.names {
      if case .weight(let weight) = try artefact.content(of: name).kind {
        result[name] = (weight.decoded().values, weight.site?.activations)
      }
    }
    return result
  }

  /// A stage list, the format that the folder's config must name, and what an input scheme becomes.
  static let forms: [(stages: String, format: String, inputs: String?)] = [
    (
      "  - quantize: {method: rtn, bits: 8, group: channel}\n  - activations: {format: int8}",
      "int-quantized", "token"
    ),
    (
      "  - quantize: {method: rtn, bits: 8, group: tensor}\n"
        + "  - activations: {format: int8, granularity: tensor}", "int-quantized", "tensor"
    ),
    (
      "  - quantize: {method: rtn, bits: 4, group: 32, symmetric: false}\n"
        + "  - activations: {format: int8, symmetric: false}", "int-quantized", "token"
    ),
    ("  - quantize: {method: rtn, format: e4m3, group: channel}", "float-quantized", nil),
    (
      "  - quantize: {method: rtn, format: e4m3, group: tensor}\n"
        + "  - activations: {format: fp8_e4m3, granularity: tensor}", "float-quantized", "tensor"
    ),
    ("  - quantize: {method: rtn, format: nvfp4}", "nvfp4-pack-quantized", nil),
    (
      "  - quantize: {method: rtn, format: mxfp4}\n"
        + "  - activations: {format: fp4_e2m1, granularity: block, block: 32, scale: e8m0}",
      "mxfp4-pack-quantized", "group"
    ),
    (
      "  - quantize: {method: rtn, format: nvfp4}\n"
        + "  - activations: {format: fp4_e2m1, granularity: tensor_block, scale: e4m3}",
      "nvfp4-pack-quantized", "tensor_group"
    ),
    ("  - quantize: {method: rtn, format: mxfp8_e4m3}", "mxfp8-quantized", nil),
    ("  - quantize: {method: rtn, bits: 3, group: tensor}", "pack-quantized", nil),
  ]

  @Test(arguments: forms.indices)
  func compressedTensorsComesBackAsItWas(_ index: Int) throws {
    let form = Self.forms[index]
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.compressed(form.stages, in: folder)
      let out = folder + "/out"
      let export = try Program.run([
        "export", artefact, "--format", "compressed-tensors", "--output", out,
      ])
      #expect(export.status == 0, "\(export.error)")
      let text = try String(contentsOfFile: out + "/config.json", encoding: .utf8)
      let config = try JSONParser.parse(text)["quantization_config"]
      #expect(config?["format"]?.string == form.format)
      let group = config?["config_groups"]?["group_0"]
      #expect(group?["input_activations"]?["strategy"]?.string == form.inputs)
      #expect(config?["ignore"]?.array?.contains("lm_head") == true)
      let back = folder + "/back.h5"
      let imported = try Program.run(["import", out, "--output", back])
      #expect(imported.status == 0, "\(imported.error)")
      let (before, after) = (try Self.weights(of: artefact), try Self.weights(of: back))
      #expect(before.count == 14 && Set(before.keys) == Set(after.keys))
      for (name, weight) in before {
        #expect(after[name]?.values == weight.values, "\(name)")
        let (old, new) = (weight.inputs, after[name]?.inputs)
        guard let range = old?.maximum else {
          #expect(new == old, "\(name)")
          continue
        }
        // A range goes as the grid's step: a rounding of its last bit.
        var other = old
        other?.maximum = new?.maximum
        #expect(other == new && abs((new?.maximum ?? 0) - range) <= range * 1e-6, "\(name)")
      }
    }
  }

  @Test func severalFormsMakeSeveralGroups() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.compressed(
        "  - quantize: {method: rtn, format: nvfp4}\noverrides:\n"
          + "  - targets: [\"*.down_proj.weight\"]\n"
          + "    stages: [{quantize: {method: rtn, bits: 8, group: channel}}]", in: folder)
      let out = folder + "/out"
      #expect(
        try Program.run(["export", artefact, "--format", "compressed-tensors", "--output", out])
          .status == 0)
      let text = try String(contentsOfFile: out + "/config.json", encoding: .utf8)
      let config = try JSONParser.parse(text)["quantization_config"]
      #expect(config?["format"]?.string == "mixed-precision")
      #expect(config?["config_groups"]?.object?.members.count == 2)
      let back = folder + "/back.h5"
      #expect(try Program.run(["import", out, "--output", back]).status == 0)
      let (before, after) = (try Self.weights(of: artefact), try Self.weights(of: back))
      for (name, weight) in before { #expect(after[name]?.values == weight.values, "\(name)") }
    }
  }

  /// Scales found by calibration go out as they are, come back as they were, and count in between.
  @Test(arguments: ["int8", "fp8_e4m3"]) func keyValueScalesComeBackAsTheyWere(
    _ format: String
  ) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.compressed(
        "  - quantize: {method: rtn, bits: 8, group: 32}\n"
          + "kv_cache: {bits: 8, stored: \(format)}\n"
          + "calibration: {sequences: 16, length: 64}", in: folder)
      let scales = try #require(try ArtefactFile(path: artefact).header.keyValueScales)
      #expect(scales.format.rawValue == format && scales.layers.count == 2)
      let evaluated = try Program.run([
        "evaluate", "--model", artefact, "--reference", Self.model, "--data",
        SharedFiles.fixture("text/heldout_publicdomain.txt"), "--sequences", "8", "--json",
      ])
      let report = try JSONParser.parse(evaluated.output)["model"]
      #expect(report?["kv_cache"]?.string == "\(format), a stored scale a layer")
      let out = folder + "/out"
      let export = try Program.run([
        "export", artefact, "--format", "compressed-tensors", "--output", out,
      ])
      #expect(export.status == 0 && !export.error.contains("warning"), "\(export.error)")
      let text = try String(contentsOfFile: out + "/config.json", encoding: .utf8)
      let config = try JSONParser.parse(text)["quantization_config"]?["kv_cache_scheme"]
      #expect(config?["type"]?.string == (format == "int8" ? "int" : "float"))
      #expect(config?["strategy"]?.string == "tensor" && config?["dynamic"]?.bool == false)
      let source = try CheckpointOpener.open(out)
      let stored = try #require(source.tensor(named: "model.layers.1.self_attn.v_scale"))
      #expect(stored.shape == [1] && stored.dtype == .f32)
      #expect(try source.load(stored).floats() == [scales.layers[1].value])
      let back = folder + "/back.h5"
      let imported = try Program.run(["import", out, "--output", back])
      #expect(imported.status == 0 && !imported.error.contains("warning"), "\(imported.error)")
      #expect(try ArtefactFile(path: back).header.keyValueScales == scales)
      // A scheme that is not known here is left out, and said.
      let dynamic = text.replacing("\"dynamic\": false", with: "\"dynamic\": true")
      try dynamic.write(toFile: out + "/config.json", atomically: true, encoding: .utf8)
      let other = try Program.run(["import", out, "--output", back, "--force"])
      #expect(other.status == 0 && other.error.contains("not known here"), "\(other.error)")
      #expect(try ArtefactFile(path: back).header.keyValueScales == nil)
      for (other, status) in [("gptq", 3), ("hf", 0)] as [(String, Int32)] {
        let run = try Program.run([
          "export", artefact, "--format", other, "--output", folder + "/" + other,
        ])
        #expect(run.status == status && run.error.contains("stored scale"), "\(run.error)")
      }
    }
  }

  /// Groups that act-order left apart: an input permutation here, `g_idx` there, the same both ways.
  @Test func groupsInAnyOrderComeBackAsTheyWere() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.compressed(
        "  - quantize: {method: rtn, bits: 4, group: 32, symmetric: false}", in: folder)
      let out = folder + "/out"
      #expect(
        try Program.run(["export", artefact, "--format", "gptq-v2", "--output", out]).status == 0)
      // Every input goes to another group than its place says.
      let source = try SafetensorsSource(path: out + "/model.safetensors")
      let sink = try SafetensorsSink(
        path: folder + "/ordered.safetensors", tensors: source.tensors, strings: ["format": "pt"])
      for tensor in source.tensors {
        var bytes = try source.load(tensor).bytes
        if tensor.name.hasSuffix(".g_idx") {
          let (count, groups) = (tensor.shape.elementCount, tensor.shape.elementCount / 32)
          bytes = Bytes((0..<count).map { Int32(($0 * 5 + $0 / groups) % groups) })
        }
        try bytes.withBuffer { bytes throws(CheckpointError) in
          try sink.write(bytes, to: tensor.name, at: 0)
        }
      }
      try sink.finish()
      try FileManager.default.removeItem(atPath: out + "/model.safetensors")
      try FileManager.default.moveItem(
        atPath: folder + "/ordered.safetensors", toPath: out + "/model.safetensors")
      let ordered = folder + "/ordered.h5"
      let imported = try Program.run(["import", out, "--output", ordered])
      #expect(imported.status == 0, "\(imported.error)")
      let expected = try Self.weights(of: ordered)
      let plain = try Self.weights(of: artefact)
      #expect(expected.contains { $0.value.values != plain[$0.key]?.values })
      for format in ["gptq", "gptq-v2", "compressed-tensors"] {
        let (again, back) = (folder + "/" + format, folder + "/" + format + ".h5")
        let export = try Program.run([
          "export", ordered, "--format", format, "--output", again,
        ])
        #expect(export.status == 0, "\(export.error)")
        #expect(export.error.contains("weight_g_idx") == (format == "compressed-tensors"))
        #expect(try Program.run(["import", again, "--output", back]).status == 0)
        let found = try Self.weights(of: back)
        for (name, weight) in expected { #expect(found[name]?.values == weight.values, "\(name)") }
        if format == "gptq-v2" {
          // The very bytes that were imported.
          let file = "/model.safetensors"
          let (a, b) = (
            try SafetensorsSource(path: out + file), try SafetensorsSource(path: again + file)
          )
          for tensor in a.tensors {
            let other = try #require(b.tensor(named: tensor.name))
            #expect(
              try a.load(tensor).bytes.array(of: UInt8.self)
                == b.load(other).bytes.array(of: UInt8.self), "\(tensor.name)")
          }
        }
      }
      for (format, status) in [("awq", 3), ("hf", 0)] as [(String, Int32)] {
        let run = try Program.run([
          "export", ordered, "--format", format, "--output", folder + "/" + format,
        ])
        #expect(run.status == status, "\(run.error)")
      }
    }
  }

  /// What cannot be said is refused with the reason, and nothing is left behind.
  @Test(arguments: [
    (
      "  - quantize: {method: rtn, bits: 8, group: channel}\n"
        + "  - activations: {format: fp8_e5m2}", "fp8_e5m2/token", "compressed-tensors"
    ),
    (
      "  - quantize: {method: rtn, bits: 8, group: channel}\n  - activations: {format: int8}",
      "only compressed-tensors can say how", "gptq"
    ),
    ("  - quantize: {method: rtn, format: nf4}", "has no place there", "compressed-tensors"),
    (
      "  - quantize: {method: rtn, format: nvfp4}\n"
        + "  - activations: {format: fp4_e2m1, granularity: block, block: 16, scale: e4m3}",
      "tensor_block", "compressed-tensors"
    ),
    (
      "  - quantize: {method: rtn, bits: 8}\nkv_cache: {bits: 8}", "kv_cache_scheme",
      "compressed-tensors"
    ),
  ])
  func whatCannotBeSaidIsRefused(_ stages: String, _ reason: String, _ format: String) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try Self.compressed(stages, in: folder)
      let run = try Program.run([
        "export", artefact, "--format", format, "--output", folder + "/out",
      ])
      #expect(run.status == 3 && run.error.contains(reason), "\(run.status) \(run.error)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/out"))
      let plain = try Program.run([
        "export", artefact, "--format", "hf", "--output", folder + "/plain",
      ])
      #expect(plain.status == 0)
      #expect(plain.error.contains("warning") == !stages.contains("nf4"), "\(plain.error)")
    }
  }
}
