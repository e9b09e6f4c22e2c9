/// What can be wrong with an HDF5 file, beyond what can be wrong with any file.
public enum HDF5Problem: Sendable, Hashable {
  // MARK: The file
  case empty
  case notHDF5(looksLike: FileSignature?)
  case unreadable(object: String, reason: String)
  case unreadableAttribute(object: String, attribute: String, reason: String)
  case crashesLibrary(signal: Int32)
  case takesTooLong(seconds: Double)
  case takesTooMuchMemory
  case cannotStartReader(reason: String)

  // MARK: Links and names
  case externalLink(String)
  case nestedTooDeeply(limit: Int)
  case tooManyObjects(limit: Int)
  case attributeTooLarge(object: String, attribute: String)
  case invalidName(group: String)
  case repeatedName(String)

  // MARK: Datasets
  case externalData(dataset: String)
  case virtualDataset(String)
  case overflowingShape(dataset: String, extents: [UInt64])
  case outsideFile(dataset: String, offset: UInt64, bytes: Int, fileBytes: Int)
  case overlapping(String, String)
  case storedSizeMismatch(dataset: String, expected: Int, stored: UInt64)
  case declaresMoreThanItStores(dataset: String, declared: Int, stored: UInt64)
  case unusableChunks(dataset: String, extents: [UInt64])
  case missingFilter(dataset: String, filter: String)
  case typeMismatch(dataset: String, named: String, elementBytes: Int)
  case cannotDecode(dataset: String, reason: String)
  case noSuchTensor(String)

  // MARK: Writing
  case conflictingNames(String)
  case cannotName(String)
  case missingLinkTarget(link: String, target: String)
  case libraryRefused(doing: String, reason: String)
}

extension HDF5Problem: CustomStringConvertible {
  /// The sentence that follows the file's name.
  public var description: String {
    switch self {
    case .empty, .notHDF5, .unreadable, .unreadableAttribute, .crashesLibrary, .takesTooLong,
      .takesTooMuchMemory,
      .cannotStartReader:
      fileSentence
    case .externalLink, .nestedTooDeeply, .tooManyObjects, .attributeTooLarge, .invalidName,
      .repeatedName:
      linkSentence
    case .conflictingNames, .cannotName, .missingLinkTarget, .libraryRefused:
      writingSentence
    default: datasetSentence
    }
  }

  private var fileSentence: String {
    switch self {
    case .empty: "is empty; fetch or write it again"
    case .notHDF5(let kind?): "is not HDF5 but \(kind.description)"
    case .notHDF5(nil):
      "is not HDF5: the signature is missing at bytes 0, 512, 1024, …; is it a checkpoint at all?"
    case .unreadable(let object, let reason):
      "is damaged: \(Self.named(object)) cannot be read"
        + (reason.isEmpty ? "" : " (libhdf5: \(reason))")
        + (reason.contains("version")
          ? "; was it written by a newer HDF5? Write it again with the format of 1.10 or older"
          : "; fetch or write it again")
    case .unreadableAttribute(let object, let attribute, let reason):
      "is damaged: the attribute '\(attribute)' of \(Self.named(object)) cannot be read"
        + (reason.isEmpty ? "" : " (libhdf5: \(reason))") + "; fetch or write it again"
    case .crashesLibrary(let signal):
      "makes the HDF5 library crash (signal \(signal)): it is damaged or hostile; "
        + "fetch it again from a source you trust"
    case .takesTooLong(let seconds):
      "kept the HDF5 library busy for more than \(seconds) s: it is damaged or hostile; "
        + "fetch it again from a source you trust"
    case .takesTooMuchMemory:
      "makes the HDF5 library ask for more memory than its index can need: it is damaged or "
        + "hostile; fetch it again from a source you trust"
    case .cannotStartReader(let reason):
      "cannot be read: the process that reads its index did not start (\(reason))"
    default: ""
    }
  }

  private var linkSentence: String {
    switch self {
    case .externalLink(let name):
      "has a link to another file, '\(name)', which Pith does not follow; copy the data into "
        + "this file (h5repack or h5py) and try again"
    case .nestedTooDeeply(let limit):
      "nests groups more than \(limit) levels deep, which no checkpoint does"
    case .tooManyObjects(let limit): "has more than \(limit) objects, which no checkpoint has"
    case .attributeTooLarge(let object, let attribute):
      "has an attribute '\(attribute)' of \(Self.named(object)) that is larger than 128 MiB"
    case .invalidName(let group):
      "has a link in \(Self.named(group)) whose name is empty, too long, not UTF-8 or holds a '/'; "
        + "it is damaged or hostile"
    case .repeatedName(let name): "names '\(name)' twice; it is damaged or hostile"
    default: ""
    }
  }

  private var writingSentence: String {
    switch self {
    case .conflictingNames(let name):
      "cannot be written: '\(name)' would be a tensor and a group, or two tensors, at once; "
        + "rename one"
    case .cannotName(let name):
      "cannot be written: '\(name)' is no name for HDF5 (a part between '/' is empty, '.' or has "
        + "a zero byte); rename it"
    case .missingLinkTarget(let link, let target):
      "cannot be written: '\(link)' should be a second name of '\(target)', which does not exist"
    case .libraryRefused(let doing, let reason):
      "cannot be written: libhdf5 failed \(doing)" + (reason.isEmpty ? "" : " (\(reason))")
    default: ""
    }
  }

  static func named(_ object: String) -> String {
    object.isEmpty ? "its root" : "'\(object)'"
  }
}
