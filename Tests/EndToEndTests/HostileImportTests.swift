import Foundation
import JSONText
import Pith
import TestSupport
import Testing

/// Other tools' folders and files, damaged: an error that names file and part, and no output.
@Suite struct HostileImportTests {
  /// What is damaged: stages of a recipe, the format it is exported in, the file that holds weights.
  static let victims: [(stages: String, format: String, file: String)] = [
    (
      "  - quantize: {method: rtn, bits: 4, group: 32, symmetric: false}", "gptq",
      "model.safetensors"
    ),
    ("  - quantize: {method: rtn, bits: 4, group: 32}", "awq", "model.safetensors"),
    (
      "  - quantize: {method: rtn, bits: 3, group: 32, symmetric: false}", "compressed-tensors",
      "model.safetensors"
    ),
    (
      "  - quantize: {method: rtn, bits: 8, group: channel}\n"
        + "  - activations: {format: int8, granularity: tensor}", "compressed-tensors",
      "model.safetensors"
    ),
    ("  - quantize: {method: rtn, format: e4m3}", "compressed-tensors", "model.safetensors"),
    ("  - quantize: {method: rtn, format: nvfp4}", "compressed-tensors", "model.safetensors"),
    ("  - quantize: {method: rtn, format: mxfp4}", "compressed-tensors", "model.safetensors"),
    ("  - quantize: {method: rtn, format: q4_0}", "gguf", "model.gguf"),
    (
      "  - quantize: {method: rtn, bits: 4, group: 32}\nkv_cache: {bits: 8, stored: int8}\n"
        + "calibration: {sequences: 4, length: 32}", "compressed-tensors", "model.safetensors"
    ),
  ]

  /// Exports a victim, and hands its model path and its weights' file to the body.
  private static func with(
    _ index: Int, _ body: (_ model: String, _ file: String, _ folder: String) throws -> Void
  ) throws {
    let victim = victims[index]
    try SharedFiles.withTemporaryFolder { folder in
      let artefact = try InterchangeTests.compressed(victim.stages, in: folder)
      let out = folder + "/out" + (victim.format == "gguf" ? ".gguf" : "")
      let run = try Program.run([
        "export", artefact, "--format", victim.format, "--output", out,
      ])
      #expect(run.status == 0, "\(run.error)")
      try body(out, victim.format == "gguf" ? out : out + "/" + victim.file, folder)
    }
  }

  /// Imports in this process; the error's text, nil where it went well.
  private static func failure(of model: String, in folder: String) throws -> String? {
    let output = folder + "/imported.h5"
    let names = { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
    let before = try names()
    do {
      _ = try ImportRun.run(
        try ImportedModel(path: model), output: output, identity: .current(version: "test"),
        workers: 1, durable: false)
    } catch {
      #expect(try names() == before, "left behind after: \(error)")
      return "\(error)"
    }
    try FileManager.default.removeItem(atPath: output)
    return nil
  }

  @Test(arguments: victims.indices)
  func aFileCutAnywhereIsRefused(_ index: Int) throws {
    try Self.with(index) { model, file, folder in
      #expect(try Self.failure(of: model, in: folder) == nil)
      let whole = try Data(contentsOf: URL(fileURLWithPath: file))
      // Every byte of the beginning, where lengths and names are, then steps through the rest.
      let cuts =
        Array(0..<12) + stride(from: 13, to: whole.count, by: max(97, whole.count / 40))
        + [whole.count - 1]
      for cut in cuts {
        try whole.prefix(cut).write(to: URL(fileURLWithPath: file))
        let error = try Self.failure(of: model, in: folder)
        #expect(error?.contains(model) == true, "cut at \(cut): \(error ?? "taken")")
      }
    }
  }

  /// A folder whose header says something else of one tensor than its module needs.
  @Test(arguments: [
    // index of the victim, part, what its entry becomes
    (0, "qweight", "dtype", "\"F32\""), (0, "qzeros", "dtype", "\"F32\""),
    (0, "scales", "dtype", "\"I16\""), (0, "g_idx", "dtype", "\"F32\""),
    (1, "qweight", "dtype", "\"F32\""), (2, "weight_packed", "dtype", "\"F32\""),
    (2, "weight_zero_point", "dtype", "\"F32\""), (3, "weight", "dtype", "\"U8\""),
    (3, "weight_scale", "dtype", "\"I16\""), (4, "weight", "dtype", "\"I8\""),
    (5, "weight_packed", "dtype", "\"I8\""), (5, "weight_scale", "dtype", "\"U8\""),
    (6, "weight_scale", "dtype", "\"I8\""), (0, "scales", "data_offsets", "[0,1099511627776]"),
    (5, "weight_packed", "shape", "[1,1]"), (3, "weight_scale", "shape", "[8,4]"),
    // The right count in another shape: rows and groups would change places unseen.
    (0, "scales", "shape", "[64,2]"), (0, "g_idx", "shape", "[2,32]"),
    (1, "scales", "shape", "[128]"), (2, "weight_scale", "shape", "[2,64]"),
    (2, "weight_shape", "shape", "[1,2]"), (2, "weight_zero_point", "shape", "[2,6]"),
    (3, "weight_scale", "shape", "[1,64]"), (3, "input_scale", "shape", "[1,1,1]"),
    (5, "weight_global_scale", "shape", "[1,1,1]"), (6, "weight_scale", "shape", "[2,64]"),
  ])
  func aMislabelledTensorIsNamed(
    _ index: Int, _ part: String, _ key: String, _ value: String
  ) throws {
    try Self.with(index) { model, file, folder in
      let tensor = "model.layers.0.self_attn.q_proj." + part
      try Self.edit(file, tensor: tensor, key, value)
      let error = try Self.failure(of: model, in: folder)
      let isNamed = error?.contains("model.layers.0.self_attn.q_proj") == true
      #expect(isNamed && error?.contains(model) == true, "\(error ?? "taken")")
    }
  }

  @Test(arguments: [0, 1, 2, 3, 5])
  func aPartThatIsNotThereIsNamed(_ index: Int) throws {
    let parts = ["qzeros", "scales", "weight_scale", "input_scale", "", "weight_global_scale"]
    try Self.with(index) { model, file, folder in
      let tensor = "model.layers.1.mlp.up_proj." + parts[index]
      try Self.edit(file, tensor: tensor) { $0.replacing(tensor, with: tensor + "_gone") }
      let error = try Self.failure(of: model, in: folder)
      #expect(error?.contains(tensor) == true, "\(error ?? "taken")")
    }
  }

  /// Scales of keys and values: missing, of several numbers, of a layer that is not there.
  @Test(arguments: [
    ("k_scale\":", "k_gone\":", "k_scale"), ("[1]", "[1,1,1]", "k_scale"),
    ("\"F32\"", "\"I32\"", "k_scale"), ("layers.0.", "layers.5.", "layers.0.self_attn.k_scale"),
    ("layers.0.", "layers.1.", "layers.1.self_attn.k_scale"),
  ])
  func damagedScalesOfKeysAreNamed(_ old: String, _ new: String, _ item: String) throws {
    try Self.with(8) { model, file, folder in
      try Self.edit(file, tensor: "model.layers.0.self_attn.k_scale") {
        $0.replacing(old, with: new)
      }
      let error = try Self.failure(of: model, in: folder)
      #expect(
        error?.contains(model) == true && error?.contains(item) != false, "\(error ?? "taken")")
    }
  }

  /// Numbers that no weight has: infinite scales, codes beyond their width.
  @Test(arguments: [0, 3, 4, 5, 7])
  func numbersThatNoWeightHasAreRefused(_ index: Int) throws {
    try Self.with(index) { model, file, folder in
      var data = try Data(contentsOf: URL(fileURLWithPath: file))
      // All ones: NaN in every floating-point type, and no exponent of a block.
      let start = data.count - data.count / 3
      data.replaceSubrange(
        start..<data.count, with: Data(repeating: 0xFF, count: data.count - start))
      try data.write(to: URL(fileURLWithPath: file))
      let error = try Self.failure(of: model, in: folder)
      #expect(error?.contains(model) == true, "\(error ?? "taken")")
    }
  }

  @Test(arguments: [
    "{\"quant_method\": \"hqq\"}", "{\"quant_method\": \"gptq\", \"bits\": 5000}", "[]", "7",
    "{\"quant_method\": \"compressed-tensors\"}",
    "{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"a\": {\"weights\": {}}}}",
    "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 7}",
  ])
  func aConfigurationThatSaysNothingIsRefused(_ text: String) throws {
    try Self.with(0) { model, _, folder in
      let path = model + "/config.json"
      let config = try JSONParser.parse(String(contentsOfFile: path, encoding: .utf8))
      guard var object = config.object else { return }
      object["quantization_config"] = try JSONParser.parse(text)
      try JSONValue.object(object).text().write(toFile: path, atomically: true, encoding: .utf8)
      let error = try Self.failure(of: model, in: folder)
      #expect(error?.contains(model) == true, "\(error ?? "taken")")
    }
  }

  // MARK: Editing headers

  private static func edit(
    _ file: String, tensor: String, _ key: String, _ value: String
  ) throws {
    try edit(file, tensor: tensor) { entry in
      guard let start = entry.range(of: "\"\(key)\":")?.upperBound else { return entry }
      let closing: Character = value.hasPrefix("[") ? "]" : ","
      guard let end = entry[start...].firstIndex(of: closing) else { return entry }
      let rest = closing == "]" ? entry.index(after: end) : end
      return entry[..<start] + value + entry[rest...]
    }
  }

  /// Rewrites one tensor's entry of a safetensors header; the data stay as they are.
  private static func edit(
    _ file: String, tensor: String, _ change: (String) -> String
  ) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    let length = data.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << ($1.offset * 8) }
    var header = String(decoding: data[8..<8 + length], as: UTF8.self)
    guard let start = header.range(of: "\"\(tensor)\":")?.lowerBound,
      let end = header[start...].firstIndex(of: "}")
    else {
      Issue.record("no tensor '\(tensor)'")
      return
    }
    header.replaceSubrange(start...end, with: change(String(header[start...end])))
    while header.utf8.count % 8 != 0 { header += " " }
    var result = Data()
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { result.append(contentsOf: $0) }
    result += Data(header.utf8) + data[(8 + length)...]
    try result.write(to: URL(fileURLWithPath: file))
  }
}
