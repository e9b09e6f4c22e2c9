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

    // MARK: Folders and safetensors
    case .opening(let path, let problem): "\(path): \(problem)"
    case .shards(let path, let problem): "\(path): \(problem)"
    case .safetensors(let path, let problem): "\(path): \(problem)"
    case .gguf(let path, let problem): "\(path): \(problem)"
    case .output(let path, let problem): "\(path): \(problem)"

    // MARK: HDF5 and Keras
    case .hdf5(let path, let problem): "\(path): \(problem)"
    case .archive(let path, let problem): "\(path): \(problem)"
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

  /// Several names from a file, the first six of them.
  static func shown(_ names: [String]) -> String {
    names.prefix(6).map { shown($0) }.joined(separator: ", ") + (names.count > 6 ? ", …" : "")
  }
}
