/// What can be wrong with an objective's examples.
public enum ObjectivesError: Error, Sendable, Hashable {
  case noExamples(source: String)
  case noLabel(source: String, record: Int)
  case badMixture(reason: String)
}

extension ObjectivesError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noExamples(let source):
      "\(source): there is nothing to learn from; every example is empty, or there is none"
    case .noLabel(let source, let record):
      "\(source): record \(record) has no label among its options; tuning needs one in each"
    case .badMixture(let reason):
      "this mixture of objectives cannot be: \(reason); give each part a positive weight"
    }
  }
}
