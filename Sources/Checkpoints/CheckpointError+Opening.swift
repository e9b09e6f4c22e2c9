/// Why what was given is no model that can be opened.
public enum OpeningProblem: Sendable, Hashable {
  case empty
  case unknownFormat(beginning: String)
  case gitLFSPointer(size: Int?)
  case pyTorch
  case unknownArchive
  case noModel
  case onlyPyTorch(files: [String])
  case severalModels(files: [String])
  case companionNotText
  /// Texts, records or links among the tensors, which would be lost.
  case otherObjects([SkippedObject])
}

extension OpeningProblem: CustomStringConvertible {
  /// The sentence that follows the file's name.
  public var description: String {
    switch self {
    case .empty:
      "is empty (0 bytes); fetch or write it again"
    case .unknownFormat(let beginning):
      "is neither HDF5, Keras nor safetensors (it begins with \(beginning)); "
        + "name a model's file or its folder"
    case .gitLFSPointer(let size):
      "is a Git LFS pointer, not the model"
        + (size.map { " of \($0) bytes that it stands for" } ?? "")
        + "; run 'git lfs pull' in its repository"
    case .pyTorch:
      "is a PyTorch pickle, which can run any code when it is read; convert it with "
        + "safetensors.torch.save_file, or fetch the model's .safetensors files"
    case .unknownArchive:
      "is a zip archive without a Keras model in it; "
        + "a .keras archive holds config.json and model.weights.h5"
    case .noModel:
      "holds no model: expected model.safetensors, model.safetensors.index.json or model.h5"
    case .onlyPyTorch(let files):
      "holds its weights only as PyTorch pickles (\(CheckpointError.shown(files))), which can run "
        + "any code when they are read; convert them with safetensors.torch.save_file"
    case .severalModels(let files):
      "holds several models (\(CheckpointError.shown(files))); name one of them"
    case .companionNotText:
      "is not UTF-8 text, or longer than 64 MiB"
    case .otherObjects(let objects):
      "holds objects that are no tensors and would be lost: "
        + objects.prefix(3).map { "'\(CheckpointError.shown($0.name))' (\($0.reason))" }
        .joined(separator: ", ")
        + (objects.count > 3 ? " and \(objects.count - 3) more" : "")
        + "; --leave-out-others goes on without them"
    }
  }
}

/// What can be wrong with an index of shards.
public enum ShardsProblem: Sendable, Hashable {
  case indexInvalid(reason: String)
  case unsafeName(shard: String)
  case missing(shard: String)
  case tensorNotInShard(shard: String, tensor: String)
  case tensorNotInIndex(shard: String, tensor: String)
  case tensorInTwoShards(tensor: String, shards: [String])
}

extension ShardsProblem: CustomStringConvertible {
  /// The sentence that follows the index's name.
  public var description: String {
    func shown(_ name: String) -> String { CheckpointError.shown(name) }
    switch self {
    case .indexInvalid(let reason):
      return "is no index of shards: \(reason)"
    case .unsafeName(let shard):
      return "names the shard '\(shown(shard))', which is not a plain file name in the index's "
        + "own folder"
    case .missing(let shard):
      return "names the shard '\(shown(shard))', which is not in the folder; fetch it"
    case .tensorNotInShard(let shard, let tensor):
      return "places tensor '\(shown(tensor))' in '\(shown(shard))', which does not hold it; "
        + "fetch index and shards again from one place"
    case .tensorNotInIndex(let shard, let tensor):
      return "does not list tensor '\(shown(tensor))', which '\(shown(shard))' holds; "
        + "fetch index and shards again from one place"
    case .tensorInTwoShards(let tensor, let shards):
      return "has tensor '\(shown(tensor))' in several shards (\(CheckpointError.shown(shards))); "
        + "fetch index and shards again from one place"
    }
  }
}

/// Why an output cannot be written as it was asked for.
public enum OutputProblem: Sendable, Hashable {
  case nameNotPossible(tensor: String, reason: String)
  case tensorIncomplete(tensor: String, written: Int, expected: Int)
  case headerTooLongToWrite(length: Int, limit: Int)
  case folderNotEmpty
  case textNotPossible(key: String, reason: String)
  case formatNotWritten(ending: String)
}

extension OutputProblem: CustomStringConvertible {
  /// The sentence that follows the target's name.
  public var description: String {
    switch self {
    case .nameNotPossible(let tensor, let reason):
      "cannot hold a tensor named '\(CheckpointError.shown(tensor))': \(reason)"
    case .tensorIncomplete(let tensor, let written, let expected):
      "only \(written) of \(expected) bytes of tensor '\(CheckpointError.shown(tensor))' were "
        + "written; nothing was put in place"
    case .headerTooLongToWrite(let length, let limit):
      "the header would take \(length) bytes and readers allow \(limit); "
        + "write fewer tensors or less metadata"
    case .folderNotEmpty:
      "this folder is not empty; name a new one, or empty it first"
    case .textNotPossible(let key, let reason):
      "cannot hold the metadata '\(CheckpointError.shown(key))': \(reason)"
    case .formatNotWritten(let ending):
      "files that end in '.\(ending)' are not written; name a .h5 or a .safetensors file, or a "
        + "folder"
    }
  }
}
