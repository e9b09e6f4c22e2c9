extension CheckpointError: CustomStringConvertible {
  /// One sentence: the file, what was found, what was expected, what to do.
  public var description: String {
    switch self {
    // MARK: Files
    case .cannotOpen(let path, let reason):
      "\(path): cannot be opened: \(reason)"
    case .missing(let path):
      "\(path): there is no such file or folder; check the spelling and the current folder"
    case .notAFile(let path):
      "\(path): is neither a file nor a folder that can be read; name a model's file or its folder"
    case .cannotRead(let path, let offset, let reason):
      "\(path): reading at byte \(offset) failed: \(reason)"
    case .endsEarly(let path, let offset, let wanted, let size):
      "\(path): ends early: \(wanted) bytes were expected at byte \(offset), "
        + "but the file has \(size) bytes; fetch or write it again"
    case .changedWhileOpen(let path):
      "\(path): was changed while it was being read; run again when nothing else writes to it"
    case .cannotMap(let path, let reason):
      "\(path): cannot be mapped into memory: \(reason)"
    case .cannotWrite(let path, let reason):
      "\(path): cannot be written: \(reason)"
    case .diskFull(let path, let neededBytes, let availableBytes):
      "\(path): the disk is full: \(neededBytes) bytes are needed and \(availableBytes) are "
        + "available there; free some space or choose another place"

    // MARK: Opening
    case .emptyFile(let path):
      "\(path): is empty (0 bytes); fetch or write it again"
    case .unknownFormat(let path, let beginning):
      "\(path): is neither HDF5, Keras nor safetensors (it begins with \(beginning)); "
        + "name a model's file or its folder"
    case .gitLFSPointer(let path, let size):
      "\(path): is a Git LFS pointer, not the model"
        + (size.map { " of \($0) bytes that it stands for" } ?? "")
        + "; run 'git lfs pull' in its repository"
    case .pyTorchFile(let path):
      "\(path): is a PyTorch pickle, which can run any code when it is read; convert it with "
        + "safetensors.torch.save_file, or fetch the model's .safetensors files"
    case .ggufNotReadable(let path):
      "\(path): is a GGUF file, which this version does not read; "
        + "use the safetensors or HDF5 model that it was made from"
    case .unknownArchive(let path):
      "\(path): is a zip archive without a Keras model in it; "
        + "a .keras archive holds config.json and model.weights.h5"
    case .noModelInFolder(let path):
      "\(path): holds no model: expected model.safetensors, model.safetensors.index.json or model.h5"
    case .onlyPyTorchInFolder(let path, let files):
      "\(path): holds its weights only as PyTorch pickles (\(Self.list(files))), which can run any "
        + "code when they are read; convert them with safetensors.torch.save_file"
    case .severalModelsInFolder(let path, let files):
      "\(path): holds several models (\(Self.list(files))); name one of them"
    case .companionNotText(let path):
      "\(path): is not UTF-8 text, or longer than 64 MiB"

    // MARK: safetensors
    case .safetensorsTooShort(let path, let size):
      "\(path): has \(size) bytes, and a safetensors file begins with 8 bytes of header length; "
        + "fetch it again"
    case .safetensorsHeaderTooLong(let path, let length, let limit):
      "\(path): states a header of \(length) bytes; at most \(limit) are allowed. "
        + "It is damaged, or no safetensors file"
    case .safetensorsHeaderPastEnd(let path, let length, let size):
      "\(path): states a header of \(length) bytes, but the file has \(size); "
        + "it was cut short: fetch it again"
    case .safetensorsHeaderNotJSON(let path, let reason):
      "\(path): the header is not the JSON that a safetensors file has: \(reason)"
    case .safetensorsDuplicateName(let path, let name):
      "\(path): the header names '\(Self.shown(name))' twice; write the file again"
    case .safetensorsMetadataNotText(let path, let key):
      "\(path): '__metadata__' must map names to texts; '\(Self.shown(key))' is not a text"
    case .safetensorsFieldInvalid(let path, let tensor, let field, let expected):
      "\(path): tensor '\(Self.shown(tensor))': '\(Self.shown(field))' must be \(expected)"
    case .safetensorsUnknownDType(let path, let tensor, let dtype):
      "\(path): tensor '\(Self.shown(tensor))' has the type '\(Self.shown(dtype))'; known are "
        + SafetensorsDType.names.joined(separator: ", ")
    case .safetensorsNegativeExtent(let path, let tensor, let shape):
      "\(path): tensor '\(Self.shown(tensor))' has the shape \(shape) with a negative extent"
    case .safetensorsShapeOverflows(let path, let tensor, let shape):
      "\(path): tensor '\(Self.shown(tensor))' has the shape \(shape), "
        + "more elements than this machine can address"
    case .safetensorsWrongByteCount(let path, let tensor, let expected, let found):
      "\(path): tensor '\(Self.shown(tensor))' needs \(expected) bytes by its type and shape, "
        + "but its offsets hold \(found)"
    case .safetensorsOffsetsReversed(let path, let tensor, let begin, let end):
      "\(path): tensor '\(Self.shown(tensor))' has the offsets [\(begin), \(end)], "
        + "which do not go forwards from 0"
    case .safetensorsOffsetsPastEnd(let path, let tensor, let end, let available):
      "\(path): tensor '\(Self.shown(tensor))' ends at byte \(end) of the data, but the file holds "
        + "\(available); it was cut short: fetch it again"
    case .safetensorsOverlap(let path, let tensor, let other):
      "\(path): the bytes of tensor '\(Self.shown(tensor))' overlap those of "
        + "'\(Self.shown(other))'; write the file again"
    case .safetensorsHole(let path, let tensor, let begin, let expected):
      "\(path): \(begin - expected) bytes before tensor '\(Self.shown(tensor))' belong to no "
        + "tensor; it should begin at byte \(expected) of the data, not \(begin)"
    case .safetensorsBytesLeftOver(let path, let count):
      "\(path): \(count) bytes after the last tensor belong to no tensor; write the file again"

    // MARK: Sharded folders
    case .indexInvalid(let path, let reason):
      "\(path): is no index of shards: \(reason)"
    case .shardNameUnsafe(let path, let shard):
      "\(path): names the shard '\(Self.shown(shard))', which is not a plain file name in the "
        + "index's own folder"
    case .shardMissing(let path, let shard):
      "\(path): names the shard '\(Self.shown(shard))', which is not in the folder; fetch it"
    case .tensorMissingInShard(let path, let shard, let tensor):
      "\(path): places tensor '\(Self.shown(tensor))' in '\(Self.shown(shard))', "
        + "which does not hold it; fetch index and shards again from one place"
    case .tensorNotInIndex(let path, let shard, let tensor):
      "\(path): does not list tensor '\(Self.shown(tensor))', which '\(Self.shown(shard))' holds; "
        + "fetch index and shards again from one place"
    case .tensorInTwoShards(let path, let tensor, let shards):
      "\(path): tensor '\(Self.shown(tensor))' is in several shards (\(Self.list(shards)))"

    // MARK: Writing
    case .nameNotPossible(let path, let tensor, let reason):
      "\(path): cannot hold a tensor named '\(Self.shown(tensor))': \(reason)"
    case .tensorIncomplete(let path, let tensor, let written, let expected):
      "\(path): only \(written) of \(expected) bytes of tensor '\(Self.shown(tensor))' were "
        + "written; nothing was put in place"
    case .headerTooLongToWrite(let path, let length, let limit):
      "\(path): the header would take \(length) bytes and readers allow \(limit); "
        + "write fewer tensors or less metadata"
    case .folderNotEmpty(let path):
      "\(path): this folder is not empty; name a new one, or empty it first"
    }
  }

  /// A name from a file, fit for a terminal: no control characters, at most 120 characters.
  static func shown(_ name: String) -> String {
    var text = ""
    for (index, scalar) in name.unicodeScalars.enumerated() {
      if index == 120 { return text + "…" }
      if scalar.properties.generalCategory == .control {
        text += "\\u{" + String(scalar.value, radix: 16) + "}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  private static func list(_ names: [String]) -> String {
    names.prefix(6).map(shown).joined(separator: ", ") + (names.count > 6 ? ", …" : "")
  }
}
