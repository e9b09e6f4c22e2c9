import Checkpoints

/// The texts that go with a model into its artefact.
struct Companions {
  /// By file name; config.json is told apart, as the model's configuration.
  private(set) var texts: [String: String] = [:]
  /// The files that are no texts, such as SentencePiece's tokenizer.model: an attribute of an
  /// artefact cannot hold them.
  private(set) var leftOut: [String] = []

  init(of source: any TensorSource) {
    for (name, path) in source.metadata.companions.sorted(by: { $0.key < $1.key })
    where name != "config.json" {
      if let text = try? ModelCompanions.text(ofFile: path), !text.utf8.contains(0) {
        texts[name] = text
      } else {
        leftOut.append(name)
      }
    }
  }
}
