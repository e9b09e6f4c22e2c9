import Foundation
import Pith
import TestSupport
import Testing

@testable import Interchange

/// A GGUF file imported as an artefact keeps its own blocks.
@Suite struct GGUFImportTests {
  /// A small Llama whose matrices are in every kind of block.
  private static func write(to path: String) throws {
    let metadata: [(key: String, value: GGUFValue)] = [
      ("general.architecture", .string("llama")), ("llama.block_count", .u32(2)),
      ("llama.context_length", .u32(64)), ("llama.embedding_length", .u32(256)),
      ("llama.feed_forward_length", .u32(512)), ("llama.attention.head_count", .u32(4)),
      ("llama.attention.head_count_kv", .u32(2)),
      ("llama.attention.layer_norm_rms_epsilon", .f32(1e-5)), ("llama.vocab_size", .u32(96)),
      ("llama.rope.freq_base", .f32(10000)), ("llama.rope.dimension_count", .u32(64)),
    ]
    let shapes: [(String, Int, Int)] = [
      ("attn_q", 256, 256), ("attn_k", 128, 256), ("attn_v", 128, 256),
      ("attn_output", 256, 256), ("ffn_gate", 512, 256), ("ffn_up", 512, 256),
      ("ffn_down", 256, 512),
    ]
    let formats = BlockFormat.allCases
    var entries = [GGUFSink.Entry(name: "token_embd.weight", shape: [96, 256], type: .q6k)]
    for block in 0..<2 {
      let prefix = "blk.\(block)."
      entries.append(.init(name: prefix + "attn_norm.weight", shape: [256], type: .f32))
      entries.append(.init(name: prefix + "ffn_norm.weight", shape: [256], type: .f32))
      for (index, shape) in shapes.enumerated() {
        let format = formats[(block * shapes.count + index) % formats.count]
        guard
          let type = GGUFBlockType.allCases.first(where: {
            $0.name.lowercased() == format.rawValue
          })
        else { continue }
        entries.append(
          .init(name: prefix + shape.0 + ".weight", shape: [shape.1, shape.2], type: type))
      }
    }
    entries.append(.init(name: "output_norm.weight", shape: [256], type: .f32))
    // A matrix that is stored plainly, and must stay so.
    entries.append(.init(name: "output.weight", shape: [96, 256], type: .f16))
    let sink = try GGUFSink(path: path, metadata: metadata, tensors: entries)
    for (index, entry) in entries.enumerated() {
      let count = entry.shape.reduce(1, *)
      let values = Philox(seed: UInt64(index)).normals(count: count, purpose: .sampling)
      let bytes: Bytes
      if let format = BlockFormat(rawValue: entry.type.name.lowercased()) {
        let matrix = Matrix<Float>(rows: entry.shape[0], columns: entry.shape[1], values: values)
        bytes = try BlockBase.roundToNearest(matrix, format: format).blocks.bytes
      } else if entry.type == .f16 {
        bytes = Bytes(values.map { FloatConversion.float16Bits($0) })
      } else {
        bytes = Bytes(values)
      }
      try bytes.withBuffer { buffer throws(CheckpointError) in
        try sink.write(buffer, to: entry.name, at: 0)
      }
    }
    try sink.finish()
  }

  @Test func everyBlockComesBackBitForBit() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let (path, artefact, again) = (folder + "/m.gguf", folder + "/m.h5", folder + "/n.gguf")
      try Self.write(to: path)
      let run = try Program.run(["import", path, "--output", artefact])
      #expect(run.status == 0 && run.output.contains("15 GGUF weights"), "\(run.error)")
      #expect(try Program.run(["verify", artefact]).status == 0)
      let export = try Program.run(["export", artefact, "--format", "gguf", "--output", again])
      #expect(export.status == 0, "\(export.error)")
      let (before, after) = (try GGUFFile(path: path), try GGUFFile(path: again))
      #expect(before.entries.count == 21)
      for entry in before.entries {
        let other = try #require(after.entries.first { $0.name == entry.name })
        #expect(other.type == entry.type && other.shape == entry.shape, "\(entry.name)")
        let bytes = try before.mapped(entry).array(of: UInt8.self)
        #expect(try after.mapped(other).array(of: UInt8.self) == bytes, "\(entry.name)")
      }
      // The artefact's values are those of the file as a checkpoint.
      let source = try GGUFCheckpoint(path: path)
      let imported = try ArtefactFile(path: artefact)
      for tensor in source.tensors {
        guard case .weight(let weight) = try imported.content(of: tensor.name).kind else {
          continue
        }
        #expect(try weight.decoded().values == source.load(tensor).floats(), "\(tensor.name)")
      }
    }
  }

  /// A type that is not read, an architecture that is not known: a sentence with the name.
  @Test func whatIsNotReadIsNamed() throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/m.gguf"
      try Self.write(to: path)
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      func failure(_ change: (inout Data) throws -> Void) throws -> String {
        var data = whole
        try change(&data)
        try data.write(to: URL(fileURLWithPath: path))
        let run = try Program.run(["import", path, "--output", folder + "/m.h5"])
        #expect(run.status == 3 && !FileManager.default.fileExists(atPath: folder + "/m.h5"))
        return run.error
      }
      let name = Data("blk.0.attn_q.weight".utf8)
      let other = try failure { data in
        let at = try #require(data.range(of: name)).upperBound
        // Two extents and their count lie between the name and the type.
        data[at + 20] = 20
      }
      #expect(other.contains("blk.0.attn_q.weight") && other.contains("IQ4_NL"), "\(other)")
      let strange = try failure { data in
        let at = try #require(data.range(of: Data("general.architecture".utf8))).upperBound
        data.replaceSubrange(at + 12..<at + 17, with: Data("mamba".utf8))
      }
      #expect(strange.contains("mamba") && strange.contains(path), "\(strange)")
    }
  }
}
