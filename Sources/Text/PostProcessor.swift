/// The `post_processor` of a tokenizer file, for a single text: which special tokens go around it.
struct PostProcessor: Sendable {
  var before: [Int32] = []
  var after: [Int32] = []

  /// The names that files use.
  static let known = [
    "Sequence", "TemplateProcessing", "ByteLevel", "BertProcessing", "RobertaProcessing",
  ]

  /// How many tokens it adds.
  var count: Int { before.count + after.count }

  /// This one's tokens, with those of a later step of a sequence around them.
  func wrapped(by outer: PostProcessor) -> PostProcessor {
    PostProcessor(before: outer.before + before, after: after + outer.after)
  }
}
