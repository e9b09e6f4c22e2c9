/// What can be wrong with a model's configuration, its tensors, or its input statistics.
public enum ArchitectureError: Error, Sendable, Hashable {
  case notJSON(reason: String)
  case missingKey(key: String, family: String)
  case wrongValue(key: String, found: String, expected: String)
  case unknownModel(found: String, known: [String])
  case refusedModel(found: String, reason: String, known: [String])
  case unsupported(key: String, found: String, supported: String)
  case contradiction(left: String, right: String, why: String)
  case missingTensors([MissingTensor])
  case wrongShape(tensor: String, found: [Int], expected: [Int], from: String)
  case notFloatingPoint(tensor: String, found: String)
  case notFinite(site: String, batch: Int)
  case statisticsDisagree(site: String, left: Int, right: Int)
  case statisticsOfAnotherModel(tensor: String, width: Int, columns: Int)
  case statisticsMalformed(path: String, item: String, found: String, expected: String)
}

/// A tensor that the configuration calls for and the checkpoint lacks.
public struct MissingTensor: Sendable, Hashable {
  public let name: String
  public let shape: [Int]
  /// The configuration values that the shape follows from.
  public let from: String

  public init(name: String, shape: [Int], from: String) {
    self.name = name
    self.shape = shape
    self.from = from
  }
}
