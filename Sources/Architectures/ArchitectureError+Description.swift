extension ArchitectureError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notJSON(let reason):
      "the model's configuration is not valid JSON: \(reason)"
    case .missingKey(let key, let family):
      "the model's configuration has no '\(key)', which a \(family) model needs"
    case .wrongValue(let key, let found, let expected):
      "the model's configuration has '\(key)' = \(found) where \(expected) was expected"
    case .unknownModel(let found, let known):
      "the model type '\(found)' is not one that can be run; known are \(Self.list(known)). "
        + "Its weights can still be compressed by methods that need no forward pass, or with "
        + "statistics from a file"
    case .refusedModel(let found, let reason, let known):
      "the model type '\(found)' cannot be run: \(reason); known are \(Self.list(known)). "
        + "Its weights can still be compressed by methods that need no forward pass, or with "
        + "statistics from a file"
    case .unsupported(let key, let found, let supported):
      "the model's configuration has '\(key)' = \(found), which is not supported; "
        + "supported: \(supported)"
    case .contradiction(let left, let right, let why):
      "the model's configuration contradicts itself: \(left), but \(right); \(why)"
    case .missingTensors(let missing):
      Self.sentence(missing)
    case .wrongShape(let tensor, let found, let expected, let from):
      "tensor '\(tensor)' has shape \(found) where \(expected) was expected (\(from)); "
        + "the configuration and the weights belong to different models"
    case .notFloatingPoint(let tensor, let found):
      "tensor '\(tensor)' holds \(found) values; the forward pass needs floating-point weights"
    case .notFinite(let site, let batch):
      "the input of '\(site)' is not finite in calibration batch \(batch); "
        + "look for NaN or overflow in the weights before this layer"
    case .statisticsDisagree(let site, let left, let right):
      "statistics of '\(site)' cannot be merged: one has \(left) inputs, the other \(right)"
    case .statisticsOfAnotherModel(let tensor, let width, let columns):
      "the statistics of the input of '\(tensor)' have \(width) entries, the weight reads "
        + "\(columns) inputs; they are of another model: gather them on this one"
    case .statisticsMalformed(let path, let item, let found, let expected):
      "'\(path)': '\(item)' is \(found) where \(expected) was expected "
        + "(docs/statistics-format.md)"
    }
  }

  private static func list(_ names: [String]) -> String { names.joined(separator: ", ") }

  /// The first few missing tensors, each with its shape and its origin.
  private static func sentence(_ missing: [MissingTensor]) -> String {
    let shown = missing.prefix(5).map { "'\($0.name)' \($0.shape) (\($0.from))" }
    let more = missing.count > shown.count ? " and \(missing.count - shown.count) more" : ""
    return "the checkpoint lacks \(missing.count == 1 ? "a tensor" : "\(missing.count) tensors") "
      + "that the configuration calls for: " + shown.joined(separator: ", ") + more
  }
}
