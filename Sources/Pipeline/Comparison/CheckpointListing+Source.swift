import Checkpoints
import RunRecords
import Tensors

extension CheckpointListing {
  /// What a source holds; with `statistics`, every floating-point value is read.
  public init(_ source: any TensorSource, statistics: Bool, pool: WorkerPool) throws {
    let tensors = source.tensors
    let items = try pool.map(tensors.count) { index in
      let tensor = tensors[index]
      let values =
        statistics && tensor.dtype.isFloatingPoint && tensor.shape.elementCount > 0
        ? Statistics(try TensorStatistics.scan(source, tensor)) : nil
      return Item(
        name: tensor.name, dtype: tensor.dtype.rawValue, shape: tensor.shape.dimensions,
        bytes: tensor.byteCount, storage: tensor.storage.description,
        sharesStorageWith: tensor.sharesStorageWith, statistics: values)
    }
    self.init(
      path: source.path, format: source.format, tensors: items, metadata: source.metadata.strings,
      skipped: source.skipped.map { Skipped(name: $0.name, reason: $0.reason) },
      companions: source.metadata.companions.keys.sorted())
  }
}

extension CheckpointListing.Statistics {
  init(_ statistics: TensorStatistics) {
    self.init(
      minimum: statistics.minimum ?? .nan, maximum: statistics.maximum ?? .nan,
      mean: statistics.mean,
      standardDeviation: statistics.standardDeviation, zeroFraction: statistics.zeroFraction,
      nonFiniteCount: statistics.nonFiniteCount)
  }
}

extension TensorStorage {
  /// How the tensor lies in its file, for people.
  var description: String {
    switch self {
    case .contiguous: "contiguous"
    case .encoded(let how): how
    case .empty: "empty"
    }
  }
}
