/// What can go wrong while a model runs.
public enum ModelError: Error, Sendable, Hashable {
  case tokenOutOfRange(sequence: Int, position: Int, token: Int, vocabulary: Int)
  case sequenceTooLong(sequence: Int, length: Int, limit: Int)
  case tokenTypesDoNotFit(tokens: Int, types: Int)
  case tokenTypeOutOfRange(position: Int, type: Int, types: Int)
  case noTensor(name: String, path: String)
  case wrongLength(name: String, found: Int, expected: Int)
  case wrongWeightShape(name: String, found: [Int], expected: [Int])
  case noHead(modelType: String)
  case notCausal(modelType: String)
  case keyValueSchemeNotCausal(modelType: String)
  case keyValueScalesDoNotFit(found: Int, blocks: Int)
  case cacheFull(capacity: Int)
  case emptyPrompt(sequence: Int)
  case badSampling(parameter: String, found: Double, expected: String)
  case scratchFile(path: String, operation: String, reason: String)
  case notFiniteLogits(row: Int)
  case noTokenizer(path: String)
  case differentVocabularies(model: Int, reference: Int)
}

extension ModelError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tokenOutOfRange(let sequence, let position, let token, let vocabulary):
      "sequence \(sequence) has token \(token) at position \(position); the model's vocabulary "
        + "is 0 to \(vocabulary - 1), so the tokens belong to another tokenizer"
    case .sequenceTooLong(let sequence, let length, let limit):
      "sequence \(sequence) has \(length) tokens, the model has \(limit) positions; "
        + "use windows of at most \(limit)"
    case .tokenTypesDoNotFit(let tokens, let types):
      "\(types) token types were given for \(tokens) tokens"
    case .tokenTypeOutOfRange(let position, let type, let types):
      "token type \(type) at position \(position) is not one of the model's \(types)"
    case .noTensor(let name, let path):
      "'\(path)' has no tensor '\(name)'"
    case .wrongLength(let name, let found, let expected):
      "tensor '\(name)' has \(found) values where \(expected) were expected"
    case .wrongWeightShape(let name, let found, let expected):
      "weight '\(name)' is \(found) where \(expected) (out, in) was expected"
    case .noHead(let modelType):
      "this \(modelType) model has no language-model head, so there are no logits to score"
    case .keyValueSchemeNotCausal(let modelType):
      "a '\(modelType)' model sees all tokens at once and keeps no keys and values: leave the "
        + "rounding of its key-value cache out"
    case .keyValueScalesDoNotFit(let found, let blocks):
      "the key-value cache has stored scales for \(found) layers, the model has \(blocks): they "
        + "belong to another model"
    case .notCausal(let modelType):
      "a \(modelType) model sees both sides of a token and cannot continue a text"
    case .cacheFull(let capacity):
      "the key/value cache holds \(capacity) tokens a sequence and is full"
    case .emptyPrompt(let sequence):
      "prompt \(sequence) has no tokens; give at least one, for instance the model's BOS"
    case .badSampling(let parameter, let found, let expected):
      "'\(parameter)' is \(found); expected \(expected)"
    case .scratchFile(let path, let operation, let reason):
      "cannot \(operation) the scratch file '\(path)': \(reason); "
        + "free some disk space or raise the memory cap"
    case .notFiniteLogits(let row):
      "the logits of row \(row) are not finite; the weights hold NaN or overflow"
    case .noTokenizer(let path):
      "'\(path)' has no tokenizer: neither a tokenizer.json beside it nor one within; "
        + "put the model's tokenizer.json there, or name one with --tokenizer"
    case .differentVocabularies(let model, let reference):
      "the model's vocabulary has \(model) tokens, the reference's \(reference); "
        + "only models of one vocabulary can be compared token by token"
    }
  }
}
