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

  // MARK: Folders and safetensors
  case opening(path: String, OpeningProblem)
  case shards(path: String, ShardsProblem)
  case safetensors(path: String, SafetensorsProblem)
  case gguf(path: String, GGUFProblem)
  case output(path: String, OutputProblem)

  // MARK: HDF5 and Keras
  case hdf5(path: String, HDF5Problem)
  case archive(path: String, ArchiveProblem)
}
