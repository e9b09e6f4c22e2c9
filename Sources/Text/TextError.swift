import JSONText

/// What can be wrong with a text, a tokenizer, a record or a template.
///
/// Cases name the file.
public enum TextError: Error, Sendable, Hashable {
  // MARK: Files
  case cannotRead(path: String, reason: String)
  case invalidUTF8(source: String, offset: Int)
  case emptyText(source: String)

  // MARK: tokenizer.json
  case notJSON(path: String, error: JSONError)
  case malformed(path: String, part: String, expected: String)
  case unsupported(path: String, part: String, name: String, known: [String])
  case badPattern(path: String, pattern: String, reason: String)
  case duplicateID(path: String, id: Int, first: String, second: String)
  case missingToken(path: String, part: String, token: String)

  // MARK: Encoding
  case patternGaveUp(pattern: String, offset: Int, reason: String)

  // MARK: Records
  case badRecord(path: String, line: Int, error: JSONError)
  case recordNotObject(path: String, line: Int)
  case recordTooLong(path: String, line: Int, limit: Int)
  case missingField(source: String, line: Int, field: String, known: [String], suggestion: String?)
  case fieldNotText(source: String, line: Int, field: String)
  case labelOutOfRange(source: String, line: Int, label: String, options: [String])

  // MARK: Templates
  case templateWithoutSlot(template: String)
  case templateWithoutOptions(template: String)
  case templateWithTwoOptionLists(template: String, offset: Int)
  case templateEmptySlot(template: String, offset: Int)
  case templateUnbalanced(template: String, offset: Int)
  case templateEmptyOption(template: String)
  case templateRepeatedOption(template: String, option: String)
  case optionWithoutTokens(template: String, option: String)
  case tooFewExamples(needed: Int, found: Int)

  // MARK: Windows
  case tooFewTokens(source: String, needed: Int, found: Int)
  case badWindow(name: String, value: Int, allowed: String)
  case tokenOutOfRange(source: String, index: Int, id: Int, vocabularySize: Int)
}
