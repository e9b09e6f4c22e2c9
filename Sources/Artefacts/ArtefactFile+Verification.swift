import Checkpoints
import Digests
import Synchronization
import Tensors

extension ArtefactFile {
  /// What a verification looked at.
  public struct Verification: Sendable, Hashable {
    public var weights = 0
    public var tensors = 0
    public var datasets = 0
    public var bytes = 0
    /// Datasets without a hash to compare with.
    public var unhashed = 0
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
      // Reading the weight validates its parts.
      _ = try content(of: name)
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
