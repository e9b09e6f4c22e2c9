/// What can be wrong with a checkpoint; every case names the file.
///
/// CheckpointError+Sentences.swift turns the cases into sentences.
public enum CheckpointError: Error, Sendable, Hashable {
  // MARK: Files
  case cannotOpen(path: String, reason: String)
  case missing(path: String)
  case notAFile(path: String)
  case cannotRead(path: String, offset: Int, reason: String)
  case endsEarly(path: String, offset: Int, wanted: Int, size: Int)
  case changedWhileOpen(path: String)
  case cannotMap(path: String, reason: String)
  case cannotWrite(path: String, reason: String)
  case diskFull(path: String, neededBytes: Int, availableBytes: Int)

  // MARK: Opening
  case emptyFile(path: String)
  case unknownFormat(path: String, beginning: String)
  case gitLFSPointer(path: String, size: Int?)
  case pyTorchFile(path: String)
  case ggufNotReadable(path: String)
  case unknownArchive(path: String)
  case noModelInFolder(path: String)
  case onlyPyTorchInFolder(path: String, files: [String])
  case severalModelsInFolder(path: String, files: [String])
  case companionNotText(path: String)

  // MARK: safetensors
  case safetensorsTooShort(path: String, size: Int)
  case safetensorsHeaderTooLong(path: String, length: UInt64, limit: Int)
  case safetensorsHeaderPastEnd(path: String, length: Int, size: Int)
  case safetensorsHeaderNotJSON(path: String, reason: String)
  case safetensorsDuplicateName(path: String, name: String)
  case safetensorsMetadataNotText(path: String, key: String)
  case safetensorsFieldInvalid(path: String, tensor: String, field: String, expected: String)
  case safetensorsUnknownDType(path: String, tensor: String, dtype: String)
  case safetensorsNegativeExtent(path: String, tensor: String, shape: [Int])
  case safetensorsShapeOverflows(path: String, tensor: String, shape: [Int])
  case safetensorsWrongByteCount(path: String, tensor: String, expected: Int, found: Int)
  case safetensorsOffsetsReversed(path: String, tensor: String, begin: Int, end: Int)
  case safetensorsOffsetsPastEnd(path: String, tensor: String, end: Int, available: Int)
  case safetensorsOverlap(path: String, tensor: String, other: String)
  case safetensorsHole(path: String, tensor: String, begin: Int, expected: Int)
  case safetensorsBytesLeftOver(path: String, count: Int)

  // MARK: Sharded folders
  case indexInvalid(path: String, reason: String)
  case shardNameUnsafe(path: String, shard: String)
  case shardMissing(path: String, shard: String)
  case tensorMissingInShard(path: String, shard: String, tensor: String)
  case tensorNotInIndex(path: String, shard: String, tensor: String)
  case tensorInTwoShards(path: String, tensor: String, shards: [String])

  // MARK: Writing
  case nameNotPossible(path: String, tensor: String, reason: String)
  case tensorIncomplete(path: String, tensor: String, written: Int, expected: Int)
  case headerTooLongToWrite(path: String, length: Int, limit: Int)
  case folderNotEmpty(path: String)
}
