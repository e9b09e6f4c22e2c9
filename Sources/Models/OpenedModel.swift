import Architectures
import Artefacts
import Checkpoints
import Text
import Weights

/// A model that can be run, from wherever it is stored: a folder, a checkpoint file, an artefact.
public struct OpenedModel: Sendable {
  /// The file or folder, as the user named it.
  public let path: String
  public private(set) var weights: any WeightProvider
  /// The artefact, when it is one.
  public let artefact: ArtefactFile?
  /// Bytes that the tensors take as stored, a tied tensor counted once.
  public let storedBytes: Int
  /// Parameters, a tied tensor counted once.
  public let parameterCount: Int
  /// Stored bits per parameter of the compressed tensors; nil when there are none.
  public let compressedBitsPerWeight: Double?
  private let metadata: CheckpointMetadata

  public var description: ModelDescription { weights.description }

  /// Opens whatever is at a path: its content decides, not its name.
  ///
  /// - Parameter mapped: whether a checkpoint's tensors may stay mapped (`CheckpointWeights`).
  /// - Throws: what opening throws, and `ArchitectureError` for a model that cannot be run.
  public static func open(_ path: String, mapped: Bool = true) throws -> OpenedModel {
    let source = try CheckpointOpener.open(path)
    if source.metadata.strings["format"] == ArtefactFormat.name {
      return try OpenedModel(artefact: ArtefactFile(path: path))
    }
    return try OpenedModel(source, mapped: mapped)
  }

  /// A checkpoint's model.
  public init(_ source: any TensorSource, mapped: Bool = true) throws {
    path = source.path
    weights = try CheckpointWeights(source, mapped: mapped)
    artefact = nil
    metadata = source.metadata
    let own = source.tensors.filter { $0.sharesStorageWith == nil }
    storedBytes = own.reduce(0) { $0 + $1.byteCount }
    parameterCount = own.reduce(0) { $0 + $1.shape.elementCount }
    compressedBitsPerWeight = nil
  }

  /// An artefact's model.
  public init(artefact file: ArtefactFile) throws {
    path = file.path
    weights = try ArtefactWeights(file)
    artefact = file
    metadata = file.denseMetadata
    var (bytes, count, compressedBytes, compressedCount) = (0, 0, 0, 0)
    for name in file.names {
      let content = try file.content(of: name)
      guard content.tiedTo == nil else { continue }
      bytes += content.byteCount
      count += content.sourceShape.elementCount
      if case .weight(let weight) = content.kind {
        compressedBytes += weight.storedBytes
        compressedCount += content.sourceShape.elementCount
      }
    }
    storedBytes = bytes
    parameterCount = count
    compressedBitsPerWeight =
      compressedCount == 0 ? nil : Double(compressedBytes) * 8 / Double(compressedCount)
  }

  /// The same model with inputs, or keys and values, rounded otherwise than it says; nil leaves
  /// what it says.
  public func rounding(
    activations: ActivationScheme?, keyValue: KeyValueScheme?
  ) throws -> OpenedModel {
    guard activations != nil || keyValue != nil else { return self }
    var result = self
    result.weights = try RoundedInputs(weights, activations: activations, keyValue: keyValue)
    return result
  }

  /// The same model with keys and values kept exactly; nil when it rounds none.
  public var withExactKeyValues: OpenedModel? {
    guard weights.keyValueScheme != nil || weights.keyValueScales != nil else { return nil }
    var result = self
    result.weights = ExactKeyValues(weights)
    return result
  }

  /// How the inputs of the blocks' linear layers are rounded: names of schemes and how many layers
  /// have them, the commonest first; empty when none are.
  public var activationCounts: [(scheme: String, layers: Int)] {
    var counts: [String: Int] = [:]
    for linear in description.blocks.flatMap(\.linears) {
      var scheme = (weights as? RoundedInputs)?.activations
      if scheme == nil, case .weight(let weight)? = try? artefact?.content(of: linear.weight).kind {
        scheme = weight.site?.activations
      }
      if let scheme { counts[scheme.name, default: 0] += 1 }
    }
    return counts.map { ($0.key, $0.value) }.sorted {
      $0.layers == $1.layers ? $0.scheme < $1.scheme : $0.layers > $1.layers
    }
  }

  /// The model's tokenizer.
  ///
  /// An artefact's own comes first: what lies beside it may belong to another model. Otherwise the
  /// file beside the weights comes before the text within them.
  ///
  /// - Parameter override: a tokenizer.json to take in its place.
  /// - Throws: `ModelError.noTokenizer`, and what reading it throws.
  public func tokenizer(override: String? = nil) throws -> Tokenizer {
    if let override { return try Tokenizer(path: override) }
    let embedded = try metadata.companionText(named: "tokenizer.json")
    if let embedded, artefact != nil || metadata.companions["tokenizer.json"] == nil {
      return try Tokenizer(
        json: embedded, path: path + " (embedded tokenizer.json)",
        configuration: metadata.companionText(named: "tokenizer_config.json"))
    }
    guard let found = try Tokenizer.belonging(to: path) else {
      throw ModelError.noTokenizer(path: path)
    }
    return found
  }
}
