/// What can be wrong with an evaluation's or a calibration's input.
public enum EvaluationError: Error, Sendable, Hashable {
  case lengthExceedsPositions(length: Int, positions: Int)
  case noTokens(path: String, found: [String])
  case badTokens(path: String, dataset: String, found: String)
  case tokenFileNeedsNoWindows(path: String)
  case noBeginning(path: String)
  case nothingScored(source: String)
  case noLabel(source: String, line: Int, field: String)
  case tooFewModels(Int)
  case referenceMalformed(path: String, item: String, found: String, expected: String)
  case referenceOfOtherWindows(path: String, found: String, expected: String)
  case tooManyTopTokens(Int, vocabulary: Int)
}

extension EvaluationError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .lengthExceedsPositions(let length, let positions):
      "windows of \(length) tokens were asked for, the model has \(positions) positions; "
        + "pass --length \(positions) or less"
    case .noTokens(let path, let found):
      "'\(path)' is an HDF5 file without 'window_ids' or 'tokens'"
        + (found.isEmpty ? "" : " (it has " + found.prefix(5).joined(separator: ", ") + ")")
        + "; give a text, JSONL, or token ids as integers [windows, length]"
    case .badTokens(let path, let dataset, let found):
      "'\(path)': '\(dataset)' holds \(found); expected integers of one or two axes"
    case .tokenFileNeedsNoWindows(let path):
      "'\(path)' holds windows of tokens already; leave out --length, --stride and --bos"
    case .noBeginning(let path):
      "'\(path)' names no beginning token (bos_token of tokenizer_config.json); leave out --bos"
    case .nothingScored(let source): "\(source): no token is left to score"
    case .noLabel(let source, let line, let field):
      "\(source):\(line): the record has no label in '\(field)'"
    case .tooFewModels(let count):
      "\(count) model was given; a comparison takes two or more"
    case .referenceMalformed(let path, let item, let found, let expected):
      "'\(path)': '\(item)' is \(found), expected \(expected); "
        + "write the reference anew with --save-reference"
    case .referenceOfOtherWindows(let path, let found, let expected):
      "'\(path)' was saved on other windows: it has \(found), this run \(expected); give the "
        + "--data, --length, --sequences, --stride and --bos that it was saved with"
    case .tooManyTopTokens(let count, let vocabulary):
      "--top-k \(count) is out of range; the vocabulary has \(vocabulary) tokens"
    }
  }
}
