import ArgumentParser

/// How a text becomes tokens.
struct TextOptions: ParsableArguments {
  @Flag(help: "Put the tokenizer's beginning token first.")
  var bos = false

  @Option(help: "A tokenizer.json in place of the model's own.")
  var tokenizer: String?

  @Option(help: "JSONL: the field that holds the text.")
  var field = "text"
}

/// How a record becomes a prompt with options.
struct PromptOptions: ParsableArguments {
  @Option(help: "Prompt and options, label 0 first: '{text} It was{ bad| good}'.")
  var template: String?

  @Option(help: "With --template: the field with the right option's number.")
  var label = "label"

  @Option(help: "With --template: cut the text to so many tokens.")
  var maxTextTokens: Int?
}
