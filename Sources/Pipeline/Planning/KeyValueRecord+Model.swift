import Architectures
import Artefacts
import Checkpoints
import Models
import Recipes
import RunRecords
import Weights

/// The two ways of rounding keys and values.
private enum KeyValueRounding {
  /// Scales found while running.
  case found(KeyValueScheme)
  /// Scales found beforehand.
  case stored(KeyValueScales.Format)

  var name: String {
    switch self {
    case .found(let scheme): scheme.name
    case .stored(let format): format.schemeName
    }
  }

  func size(in model: ModelDescription) -> KeyValueRecord.Size {
    let tokens = model.maximumPositions
    let numbers = 2 * model.blocks.count * model.attention.keyValueWidth
    let dimension = model.attention.headDimension
    let (bits, bytes) =
      switch self {
      case .found(let scheme):
        (
          scheme.bitsPerNumber(headDimension: dimension),
          scheme.storedBytes(tokens: tokens, numbers: numbers, headDimension: dimension)
        )
      case .stored(let format):
        (
          Double(format.bits),
          format.storedBytes(tokens: tokens, numbers: numbers, layers: model.blocks.count)
        )
      }
    return KeyValueRecord.Size(
      tokens: tokens, bitsPerNumber: bits, denseBytes: 2 * tokens * numbers, storedBytes: bytes)
  }

  /// The record, with a warning where the model is none that runs: the scheme is kept, and nothing
  /// here can say what it costs or apply it.
  ///
  /// - Throws: `ModelError.keyValueSchemeNotCausal`.
  func record(
    _ describe: () throws -> ModelDescription
  ) throws -> (record: KeyValueRecord, warning: String?) {
    var record = KeyValueRecord(scheme: name)
    let model: ModelDescription
    do { model = try describe() } catch let error as ArchitectureError {
      let warning = "keys and values are not rounded by anything here, as the model cannot run: "
      return (record, warning + "\(error)")
    }
    guard model.attention.causal else {
      throw ModelError.keyValueSchemeNotCausal(modelType: model.modelType)
    }
    record.size = size(in: model)
    return (record, nil)
  }
}

extension KeyValueRounding {
  init?(_ recipe: Recipe) {
    guard let options = recipe.keyValueCache else { return nil }
    if let stored = options.stored {
      self = .stored(KeyValueScales.Format(stored))
    } else {
      self = .found(KeyValueScheme(options))
    }
  }

  init?(_ header: ArtefactHeader) {
    if let scheme = header.keyValueScheme {
      self = .found(scheme)
    } else if let scales = header.keyValueScales {
      self = .stored(scales.format)
    } else {
      return nil
    }
  }
}

extension KeyValueRecord {
  /// What a recipe asks for, and what it costs in a model; nil for exact keys and values.
  ///
  /// - Throws: `ModelError.keyValueSchemeNotCausal`, and what reading the model's configuration
  ///   throws.
  static func planned(
    _ recipe: Recipe, for source: any TensorSource
  ) throws -> (record: KeyValueRecord, warning: String?)? {
    try KeyValueRounding(recipe)?.record { try OpenedModel(source, mapped: false).description }
  }

  /// What stands in an artefact's header, held against its recipe and its model; nil for exact keys
  /// and values.
  ///
  /// - Throws: `PipelineError.keyValueCacheDiffers`, `ModelError.keyValueSchemeNotCausal`,
  ///   `.keyValueScalesDoNotFit`.
  static func stored(
    in header: ArtefactHeader, path: String, model describe: () throws -> ModelDescription
  ) throws -> (record: KeyValueRecord, warning: String?)? {
    let rounding = KeyValueRounding(header)
    // What was imported has no recipe of ours to be held against.
    if let recipe = try? RecipeParser.parse(text: header.recipe, file: path) {
      let asked = KeyValueRounding(recipe)
      guard asked?.name == rounding?.name else {
        throw PipelineError.keyValueCacheDiffers(
          path: path, recipe: asked?.name, header: rounding?.name)
      }
    }
    return try rounding?.record {
      let model = try describe()
      if let found = header.keyValueScales?.layers.count, found != model.blocks.count {
        throw ModelError.keyValueScalesDoNotFit(found: found, blocks: model.blocks.count)
      }
      return model
    }
  }
}
