import JSONText
import Synchronization
import Tensors

/// A model's folder being written: safetensors in one file or in shards with an index, and
/// companions.
///
/// It is made beside its target and renamed when it is complete. The target must not exist, or be
/// an empty folder: a folder's other files are not ours to remove, and old shards left among new
/// ones would be read by others.
public final class ModelFolderSink: TensorSink {
  private let target: String
  private let temporary: String
  private let shards: [SafetensorsSink]
  private let shardOfTensor: [String: Int]
  private let isFinished = Atomic(false)

  /// Lays out the shards and copies the companions.
  ///
  /// - Parameters:
  ///   - path: the folder to make.
  ///   - tensors: names, types and shapes, in the order to write them.
  ///   - metadata: texts for every shard; companions to copy. Texts under a companion's name, and
  ///     the configuration, become files unless a companion to copy has that name.
  ///   - maximumShardBytes: a shard is closed before its tensors exceed this; a larger tensor has
  ///     a shard for itself.
  /// - Throws: `CheckpointError.folderNotEmpty`, `.diskFull`, `.cannotWrite`, `.nameNotPossible`.
  public init(
    path: String, tensors: [TensorDescription], metadata: CheckpointMetadata = .init(),
    maximumShardBytes: Int = 5_000_000_000
  ) throws(CheckpointError) {
    switch FileIO.kind(of: path) {
    case .missing: break
    case .folder:
      guard try FileIO.names(inFolder: path).isEmpty else {
        throw .output(path: path, .folderNotEmpty)
      }
    default: throw .cannotWrite(path: path, reason: "a file of this name is in the way")
    }
    let temporary = FileIO.temporaryPath(beside: path)
    try FileIO.makeFolder(temporary)
    do throws(CheckpointError) {
      let groups = Self.groups(tensors, maximumShardBytes: maximumShardBytes)
      let names = Self.names(count: groups.count)
      var owner: [String: Int] = [:]
      var shards: [SafetensorsSink] = []
      for (index, group) in groups.enumerated() {
        for tensor in group where owner.updateValue(index, forKey: tensor.name) != nil {
          throw CheckpointError.output(
            path: path, .nameNotPossible(tensor: tensor.name, reason: "it is given twice"))
        }
        shards.append(
          try SafetensorsSink(
            path: FileIO.path(temporary, names[index]), tensors: group,
            strings: metadata.unpacked().strings))
      }
      if groups.count > 1 { try Self.writeIndex(inFolder: temporary, groups, names) }
      try Self.writeCompanions(metadata, inFolder: temporary)
      self.shards = shards
      shardOfTensor = owner
    } catch {
      FileIO.removeFolder(temporary)
      throw error
    }
    self.target = path
    self.temporary = temporary
  }

  deinit {
    if !isFinished.load(ordering: .acquiring) { FileIO.removeFolder(temporary) }
  }

  /// Where the folder is until `finish`: what is put there goes along.
  public var unfinishedPath: String { temporary }

  public func write(
    _ bytes: UnsafeRawBufferPointer, to tensor: String, at byteOffset: Int
  ) throws(CheckpointError) {
    try shard(of: tensor).write(bytes, to: tensor, at: byteOffset)
  }

  /// The place of a tensor's first byte in its file.
  public func position(of tensor: String) -> Int { shard(of: tensor).position(of: tensor) }

  private func shard(of tensor: String) -> SafetensorsSink {
    guard let shard = shardOfTensor[tensor] else {
      preconditionFailure("'\(tensor)' was not announced")
    }
    return shards[shard]
  }

  public func finish() throws(CheckpointError) {
    for shard in shards { try shard.finish() }
    try FileIO.rename(temporary, to: target)
    isFinished.store(true, ordering: .releasing)
    try FileIO.synchronizeFolder(FileIO.folder(of: target))
  }

  /// The tensors of each shard: in order, a new one whenever the next tensor would not fit.
  static func groups(
    _ tensors: [TensorDescription], maximumShardBytes: Int
  ) -> [[TensorDescription]] {
    var groups: [[TensorDescription]] = [[]]
    var bytes = 0
    for tensor in tensors {
      if bytes > 0, tensor.byteCount > maximumShardBytes - bytes {
        groups.append([])
        bytes = 0
      }
      groups[groups.count - 1].append(tensor)
      bytes += tensor.byteCount
    }
    return groups
  }

  private static func names(count: Int) -> [String] {
    guard count > 1 else { return ["model.safetensors"] }
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    return (1...count).map { "model-\(digits($0))-of-\(digits(count)).safetensors" }
  }

  private static func writeIndex(
    inFolder folder: String, _ groups: [[TensorDescription]], _ names: [String]
  ) throws(CheckpointError) {
    var map: [String] = []
    for (group, name) in zip(groups, names) {
      map += group.map { "    \(JSONValue($0.name).text()): \(JSONValue(name).text())" }
    }
    let total = groups.joined().reduce(0) { $0 + $1.byteCount }
    let text = """
      {
        "metadata": {
          "total_size": \(total)
        },
        "weight_map": {
      \(map.joined(separator: ",\n"))
        }
      }

      """
    try ReplacementFile.write(
      Array(text.utf8), to: FileIO.path(folder, "model" + ShardedSafetensors.indexSuffix))
  }

  private static func writeCompanions(
    _ metadata: CheckpointMetadata, inFolder folder: String
  ) throws(CheckpointError) {
    for (name, path) in metadata.companions.sorted(by: { $0.key < $1.key }) {
      try FileIO.copy(path, to: FileIO.path(folder, name))
    }
    for (name, text) in metadata.unpacked().texts where metadata.companions[name] == nil {
      try ReplacementFile.write(Array(text.utf8), to: FileIO.path(folder, name))
    }
  }
}
