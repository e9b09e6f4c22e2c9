extension TextError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .cannotRead(let path, let reason): "\(path): cannot be read: \(reason)"
    case .invalidUTF8(let source, let offset):
      "\(source): byte \(offset) is not UTF-8; convert the text to UTF-8 first"
    case .emptyText(let source): "\(source): holds no text"
    case .notJSON(let path, let error): "\(path): \(error)"
    case .malformed(let path, let part, let expected):
      "\(path): '\(part)' is missing or malformed; expected \(expected)"
    case .unsupported(let path, let part, let name, let known):
      "\(path): \(part) '\(name)' is not supported; supported are "
        + known.map { "'\($0)'" }.joined(separator: ", ")
    case .badPattern(let path, let pattern, let reason):
      "\(path): the pattern '\(pattern)' cannot be used: \(reason)"
    case .duplicateID(let path, let id, let first, let second):
      "\(path): id \(id) belongs to two tokens, '\(first)' and '\(second)'"
    case .missingToken(let path, let part, let token):
      "\(path): '\(part)' names the token '\(token)', which the vocabulary lacks"
    case .patternGaveUp(let pattern, let offset, let reason):
      "splitting the text with '\(pattern)' stopped after byte \(offset): \(reason)"
    default: recordSentence
    }
  }

  private var recordSentence: String {
    switch self {
    case .badRecord(let path, let line, let error): "\(path):\(line): \(error)"
    case .recordNotObject(let path, let line):
      "\(path):\(line): the line is JSON but no object; expected {\"field\": value, ...}"
    case .recordTooLong(let path, let line, let limit):
      "\(path):\(line): the line is longer than \(limit) bytes; is this a JSONL file?"
    case .missingField(let source, let line, let field, let known, let suggestion):
      "\(source):\(line): the record has no field '\(field)'"
        + (suggestion.map { "; did you mean '\($0)'?" } ?? "")
        + " (it has " + known.map { "'\($0)'" }.joined(separator: ", ") + ")"
    case .fieldNotText(let source, let line, let field):
      "\(source):\(line): the field '\(field)' is neither text nor a number"
    case .labelOutOfRange(let source, let line, let label, let options):
      "\(source):\(line): the label is \(label); expected a whole number from 0 to"
        + " \(options.count - 1), one for each of the template's options"
    default: templateSentence
    }
  }

  private var templateSentence: String {
    switch self {
    case .templateWithoutSlot(let template):
      "the template '\(template)' has no slot; write one as {text}"
    case .templateWithoutOptions(let template):
      "the template '\(template)' has no options; write them as { terrible| great}, label 0 first"
    case .templateWithTwoOptionLists(let template, let offset):
      "the template '\(template)' has a second option list at byte \(offset); one is scored"
    case .templateEmptySlot(let template, let offset):
      "the template '\(template)' has an empty slot at byte \(offset); write {{ for a brace"
    case .templateUnbalanced(let template, let offset):
      "the template '\(template)' has an unmatched brace at byte \(offset); write {{ or }} for one"
    case .templateEmptyOption(let template):
      "the template '\(template)' has an empty option; every option needs text to score"
    case .templateRepeatedOption(let template, let option):
      "the template '\(template)' has the option '\(option)' twice"
    case .optionWithoutTokens(let template, let option):
      "the option '\(option)' of the template '\(template)' adds no token to the prompt"
    case .tooFewExamples(let needed, let found):
      "\(needed) examples were asked for and \(found) are at hand"
    case .tooFewTokens(let source, let needed, let found):
      "\(source): the text has \(found) tokens and \(needed) are needed;"
        + " take shorter or fewer windows, or more text"
    case .badWindow(let name, let value, let allowed):
      "the window's \(name) is \(value); expected \(allowed)"
    case .tokenOutOfRange(let source, let index, let id, let vocabularySize):
      "\(source): token \(index) is \(id), outside the vocabulary's 0 to \(vocabularySize - 1)"
    default: "the text cannot be used"
    }
  }
}
