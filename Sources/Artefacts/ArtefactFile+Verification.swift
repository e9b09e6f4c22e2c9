import Checkpoints
import Digests
import Synchronization
import Tensors
import Weights

extension ArtefactFile {
  /// What a verification looked at.
  public struct Verification: Sendable, Hashable {
    public var weights = 0
    public var tensors = 0
    public var datasets = 0
    public var bytes = 0
    /// Datasets without a hash to compare with.
    public var unhashed = 0
    /// Weights with entries that are zero by a mask, in the file's order.
    public var sparse: [SparseWeight] = []
  }

  /// A weight whose mask was counted, and held to what was asked of it.
  public struct SparseWeight: Sendable, Hashable {
    public let name: String
    /// What every group, every row or the matrix was found to keep; nil where nothing was asked.
    public let claim: SparsityClaim?
    public let entries: Int
    public let zeros: Int
    /// Groups of an N:M pattern that were looked at; 0 without one.
    public let groups: Int

    init?(_ name: String, _ weight: CompressedWeight) {
      let mask = weight.unpackedMask
      guard let mask else { return nil }
      self.name = name
      entries = weight.rows * weight.columns
      zeros = entries - mask.keptCount
      claim = mask.claim
      groups = if case .pattern(_, let of)? = mask.claim { entries / of } else { 0 }
    }
  }

  /// Validates every weight's parts and hashes every dataset again.
  ///
  /// - Throws: `ArtefactError.hashMismatch` for the first dataset that is not as it was written,
  ///   `.invalidWeight` or `.notFinite` for values that no artefact holds.
  public func verify(pool: WorkerPool) throws -> Verification {
    let results = try pool.map(names.count) { index in try verifyOne(names[index]) }
    return results.reduce(into: Verification()) { sum, one in
      sum.weights += one.weights
      sum.tensors += one.tensors
      sum.datasets += one.datasets
      sum.bytes += one.bytes
      sum.unhashed += one.unhashed
      sum.sparse += one.sparse
    }
  }

  private func verifyOne(_ name: String) throws -> Verification {
    var result = Verification()
    let place = try place(of: name)
    let datasets: [(String, HDF5Dataset)]
    switch place.object {
    case .tensor(let dataset):
      datasets = [("", dataset)]
      result.tensors = 1
      let values = try tensor(dataset)
      let found = values.bytes.withBuffer {
        FloatConversion.firstNonFinite($0, as: dataset.dtype)
      }
      if let found {
        throw ArtefactError.notFinite(path: path, dataset: dataset.path, index: found)
      }
    case .weight(let group):
      // Reading the weight validates its parts, and holds its mask to what was asked of it.
      if case .weight(let weight) = try content(of: name).kind,
        let sparse = SparseWeight(name, weight)
      {
        result.sparse = [sparse]
      }
      datasets = try self.datasets(of: group)
      result.weights = 1
    }
    // A second name's bytes were hashed under the first.
    guard place.tiedTo == nil else { return result }
    for (_, dataset) in datasets {
      result.datasets += 1
      let values = try tensor(dataset)
      result.bytes += values.bytes.count
      guard let expected = dataset.attributes[ArtefactFormat.hashAttribute]?.string else {
        result.unhashed += 1
        continue
      }
      let found = values.bytes.withBuffer { SHA256.hexadecimal(of: $0) }
      guard found == expected else {
        throw ArtefactError.hashMismatch(
          path: path, dataset: dataset.path, expected: expected, found: found)
      }
    }
    return result
  }
}
