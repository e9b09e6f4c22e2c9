import Checkpoints
import Digests
import Foundation
import Tensors
import TestSupport
import Weights

@testable import Artefacts

/// Makes artefacts from tensors in memory, in a folder of its own.
final class Workshop {
  let folder: String
  private var parts = 0

  private init(_ folder: String) { self.folder = folder }

  static func with(_ body: (Workshop) throws -> Void) throws {
    try SharedFiles.withTemporaryFolder { try body(Workshop($0)) }
  }

  static let header = ArtefactHeader(
    toolVersion: "0.0.1", configuration: "{\"model_type\": \"llama\"}",
    companions: ["tokenizer.json": "{\"a\": \"é\"}"], recipeName: "w4", recipe: "{}",
    recipeHash: "12", sourceFormat: "HDF5", sourceMetadata: ["k": "v"],
    sourceHashes: ["a": "00"], calibrationHash: "ff",
    keyValueScheme: KeyValueScheme(keyBits: 2, valueBits: 4, keys: .token, group: 16, residual: 9),
    keyValueScales: KeyValueScales(
      format: .fp8E4M3, layers: [.init(key: 0.1, value: 0x1.fffffep-9), .init(key: 3, value: 7e-5)]),
    seed: .max, fingerprint: "none")

  /// A tensor's bytes in a part file, some bytes from its beginning.
  func dataset(
    _ path: String, _ tensor: Tensor, _ attributes: [String: AttributeValue] = [:],
    hashed: Bool = true
  ) throws -> ArtefactDataset {
    parts += 1
    let file = folder + "/\(parts).part"
    var data = Data(count: 64 * (parts % 3))
    let offset = data.count
    tensor.bytes.withBuffer { data.append(contentsOf: $0) }
    try data.write(to: URL(fileURLWithPath: file))
    return ArtefactDataset(
      path: path, dtype: tensor.dtype, shape: tensor.shape, attributes: attributes,
      sha256: hashed ? tensor.bytes.withBuffer { SHA256.hexadecimal(of: $0) } : nil,
      location: PartLocation(file: file, offset: offset))
  }

  func entry(_ name: String, _ tensor: Tensor, hashed: Bool = true) throws -> ArtefactEntry {
    ArtefactEntry(name: name, content: .tensor(try dataset("", tensor, hashed: hashed)))
  }

  func entry(
    _ name: String, _ weight: CompressedWeight, type: DType = .f32
  ) throws -> ArtefactEntry {
    let encoded = weight.encodedParts()
    var attributes = encoded.attributes
    attributes[ArtefactEntry.sourceTypeAttribute] = .string(type.rawValue)
    return ArtefactEntry(
      name: name,
      content: .weight(
        attributes: attributes,
        datasets: try encoded.parts.map { try dataset($0.path, $0.tensor, $0.attributes) }))
  }

  @discardableResult
  func assemble(
    _ entries: [ArtefactEntry], _ file: String = "out.h5", workers: Int = 1
  ) throws -> String {
    let target = folder + "/" + file
    try ArtefactWriter.assemble(
      header: Self.header, entries: entries, target: target, workPath: target + ".tmp",
      durable: false, pool: WorkerPool(workers: workers))
    return target
  }

  /// A file with any tree, right or wrong.
  func tree(
    tensors: [HDF5NamedNode] = [], weights: [HDF5NamedNode] = [], names: String = "[]",
    attributes changed: [String: AttributeValue] = [:], without missing: String = ""
  ) throws -> String {
    let target = folder + "/tree.h5"
    var attributes = Self.header.attributes
    attributes[ArtefactFormat.orderAttribute] = .string(names)
    for (name, value) in changed { attributes[name] = value }
    attributes[missing] = nil
    let skeleton = try HDF5TreeWriter.write(
      .group(
        attributes: attributes,
        children: [
          HDF5NamedNode("tensors", .group(attributes: [:], children: tensors)),
          HDF5NamedNode("weights", .group(attributes: [:], children: weights)),
        ]), to: target, target: target)
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: target))
    try handle.truncate(atOffset: UInt64(skeleton.bytes))
    try handle.close()
    return target
  }

  /// Flips a bit of the first place where these bytes are in a file.
  static func damage(_ path: String, in bytes: [UInt8], at offset: Int, to value: UInt8? = nil)
    throws
  {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    guard let range = data.range(of: Data(bytes)) else { throw NotFound() }
    data[range.lowerBound + offset] = value ?? (data[range.lowerBound + offset] ^ 0x10)
    try data.write(to: URL(fileURLWithPath: path))
  }

  struct NotFound: Error {}
}
