import JSONText

extension ModelDescription {
  /// The model types that can be run.
  public static let knownModelTypes = [
    "bert", "gpt2", "llama", "mistral", "opt", "qwen2", "qwen3", "roberta", "xlm-roberta",
  ]

  /// Reads the text of config.json.
  ///
  /// - Throws: `ArchitectureError` for an unknown or refused model, a missing or odd value.
  public init(
    configuration text: String, naming: TensorNaming = TensorNaming(), withHead: Bool = true
  ) throws(ArchitectureError) {
    let value: JSONValue
    do {
      value = try JSONParser.parse(text)
    } catch {
      throw .notJSON(reason: error.description)
    }
    guard let object = value.object else {
      throw .notJSON(reason: "the document is no object")
    }
    try self.init(configuration: object, naming: naming, withHead: withHead)
  }

  init(
    configuration object: JSONObject, naming: TensorNaming, withHead: Bool
  ) throws(ArchitectureError) {
    let type = try Self.modelType(object)
    let reader = ConfigurationReader(object: object, family: type)
    switch type {
    case "llama", "mistral", "qwen2", "qwen3":
      try self.init(llama: reader, type: type, naming: naming, withHead: withHead)
    case "opt":
      try self.init(opt: reader, naming: naming, withHead: withHead)
    case "gpt2":
      try self.init(gpt2: reader, naming: naming, withHead: withHead)
    default:
      try self.init(bert: reader, type: type, naming: naming, withHead: withHead)
    }
  }

  /// The model type, by `model_type` or, where that is missing, by `architectures`.
  private static func modelType(_ object: JSONObject) throws(ArchitectureError) -> String {
    let architecture = object["architectures"]?[0]?.string
    let declared = object["model_type"]?.string
    let found = declared ?? architecture ?? "none given"
    for (pattern, reason) in refused where matches(found, pattern) {
      throw .refusedModel(found: found, reason: reason, known: knownModelTypes)
    }
    if let experts = object["num_local_experts"] ?? object["num_experts"], (experts.int ?? 0) > 1 {
      throw .refusedModel(
        found: found, reason: "mixtures of experts are not built yet", known: knownModelTypes)
    }
    if let declared, knownModelTypes.contains(declared) { return declared }
    if declared == nil, let architecture {
      let byName = [
        "LlamaForCausalLM": "llama", "MistralForCausalLM": "mistral", "Qwen2ForCausalLM": "qwen2",
        "Qwen3ForCausalLM": "qwen3", "OPTForCausalLM": "opt", "GPT2LMHeadModel": "gpt2",
        "BertModel": "bert", "BertForMaskedLM": "bert", "RobertaModel": "roberta",
        "RobertaForMaskedLM": "roberta",
      ]
      if let type = byName[architecture] { return type }
    }
    throw .unknownModel(found: found, known: knownModelTypes)
  }

  private static let refused = [
    ("mixtral", "mixtures of experts are not built yet"),
    ("moe", "mixtures of experts are not built yet"),
    ("deepseek", "mixtures of experts are not built yet"),
    ("gemma", "Gemma models are not built yet"),
    ("phi", "Phi models are not built yet"),
  ]

  private static func matches(_ name: String, _ pattern: String) -> Bool {
    let name = name.lowercased()
    return pattern == "moe" ? name.contains(pattern) : name.hasPrefix(pattern)
  }
}
