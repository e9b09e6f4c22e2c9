extension HDF5Problem {
  /// The sentence of a case about one dataset.
  var datasetSentence: String {
    switch self {
    case .externalData(let dataset):
      "keeps the values of '\(dataset)' in another file, which Pith does not open; copy them into "
        + "this file (h5repack or h5py) and try again"
    case .virtualDataset(let dataset):
      "has a virtual dataset '\(dataset)', put together from other datasets; write it as a plain "
        + "one and try again"
    case .overflowingShape(let dataset, let extents):
      "declares '\(dataset)' with the shape \(Self.product(extents)), more elements than this "
        + "machine can address; it is damaged or hostile"
    case .outsideFile(let dataset, let offset, let bytes, let fileBytes):
      "ends before the values of '\(dataset)' do: \(bytes) bytes at \(offset) were expected, the "
        + "file has \(fileBytes) bytes; fetch or write it again"
    case .overlapping(let first, let second):
      "gives '\(first)' and '\(second)' overlapping bytes; it is damaged or hostile"
    case .storedSizeMismatch(let dataset, let expected, let stored):
      "stores \(stored) bytes for '\(dataset)', whose shape and type need \(expected); it is "
        + "damaged or hostile"
    case .declaresMoreThanItStores(let dataset, let declared, let stored):
      "declares \(declared) bytes of values in '\(dataset)' and stores \(stored), which no "
        + "compression explains; it was never filled, or is hostile"
    case .unusableChunks(let dataset, let extents):
      "stores '\(dataset)' in chunks of \(Self.product(extents)), which are empty, of another rank "
        + "or larger than 1 GiB; rewrite it with smaller chunks"
    case .missingFilter(let dataset, let filter):
      "stores '\(dataset)' through the filter \(filter), which this libhdf5 does not have; rewrite "
        + "it with gzip or without compression"
    case .typeMismatch(let dataset, let named, let elementBytes):
      "says that '\(dataset)' holds \(named) values but stores \(elementBytes) bytes an element; "
        + "write it again"
    case .cannotDecode(let dataset, let reason):
      "is damaged: the values of '\(dataset)' cannot be decoded"
        + (reason.isEmpty ? "" : " (libhdf5: \(reason))") + "; fetch or write it again"
    case .noSuchTensor(let name): "has no tensor '\(name)'; list its tensors with 'inspect'"
    default: ""
    }
  }

  private static func product(_ extents: [UInt64]) -> String {
    extents.isEmpty ? "scalar" : extents.map(String.init).joined(separator: " × ")
  }
}
