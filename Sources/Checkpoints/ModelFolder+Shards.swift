import JSONText
import Tensors

/// Tensors spread over several safetensors files by an index.
///
/// The index (`*.safetensors.index.json`) maps each tensor's name to a file in `weight_map`. It
/// must tell the truth: every tensor it names is in the shard that it names, and no shard holds a
/// tensor that the index leaves out or gives to another.
struct ShardedSafetensors: TensorSource {
  /// How the name of an index ends.
  static let indexSuffix = ".safetensors.index.json"

  let path: String
  let tensors: [TensorDescription]
  let metadata: CheckpointMetadata
  private let shards: [SafetensorsSource]
  private let shardOfTensor: [String: Int]

  var format: String { "safetensors, \(shards.count) shards" }

  /// Opens an index and all shards that it names; shards keep the order of their names.
  init(index path: String) throws(CheckpointError) {
    let folder = FileIO.folder(of: path)
    let map = try Self.weightMap(path)
    let names = Set(map.values).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    var shards: [SafetensorsSource] = []
    var owner: [String: Int] = [:]
    var metadata = CheckpointMetadata()
    for name in names {
      let file = FileIO.path(folder, name)
      guard FileIO.kind(of: file) == .file else { throw .shards(path: path, .missing(shard: name)) }
      let shard = try SafetensorsSource(path: file, findingCompanions: false)
      for tensor in shard.tensors {
        if let other = owner.updateValue(shards.count, forKey: tensor.name) {
          throw .shards(
            path: path,
            .tensorInTwoShards(
              tensor: tensor.name, shards: [FileIO.name(of: shards[other].path), name]))
        }
        guard map[tensor.name] != nil else {
          throw .shards(path: path, .tensorNotInIndex(shard: name, tensor: tensor.name))
        }
      }
      // Shards repeat the same few texts; where they differ, the first one's stands.
      metadata.strings.merge(shard.metadata.strings) { first, _ in first }
      shards.append(shard)
    }
    for (tensor, name) in map.sorted(by: { $0.key < $1.key })
    where owner[tensor].map({ names[$0] }) != name {
      throw .shards(path: path, .tensorNotInShard(shard: name, tensor: tensor))
    }
    try metadata.findCompanions(inFolder: folder)
    self.path = path
    self.shards = shards
    self.metadata = metadata
    shardOfTensor = owner
    tensors = shards.flatMap(\.tensors)
  }

  func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    try shard(of: tensor).read(tensor, rows: rows, into: target)
  }

  func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    try shard(of: tensor).mapped(tensor)
  }

  private func shard(of tensor: TensorDescription) -> SafetensorsSource {
    guard let index = shardOfTensor[tensor.name] else {
      preconditionFailure("'\(tensor.name)' is no tensor of \(path)")
    }
    return shards[index]
  }

  private static func weightMap(_ path: String) throws(CheckpointError) -> [String: String] {
    let value: JSONValue
    do {
      value = try JSONParser.parse(try ModelCompanions.text(ofFile: path))
    } catch let error as JSONError {
      throw .shards(path: path, .indexInvalid(reason: "\(error)"))
    } catch let error as CheckpointError {
      throw error
    } catch {
      throw .shards(path: path, .indexInvalid(reason: "\(error)"))
    }
    guard let members = value["weight_map"]?.object?.members, !members.isEmpty else {
      throw .shards(path: path, .indexInvalid(reason: "it has no 'weight_map' that names tensors"))
    }
    var map: [String: String] = [:]
    for (tensor, file) in members {
      guard let file = file.string else {
        throw .shards(
          path: path,
          .indexInvalid(
            reason: "the file of tensor '\(CheckpointError.shown(tensor))' is not a text"))
      }
      // A name with a slash could lead out of the folder that the user named.
      guard file != "..", file != ".", !file.isEmpty, !file.utf8.contains(UInt8(ascii: "/")),
        !file.utf8.contains(0)
      else { throw .shards(path: path, .unsafeName(shard: file)) }
      map[tensor] = file
    }
    return map
  }
}
