import JSONText
import Tensors
import Weights

/// What an artefact says of itself: its root attributes.
///
/// Nothing here depends on where or when a run took place: the same inputs, recipe and seed give
/// the same bytes.
public struct ArtefactHeader: Sendable, Hashable {
  public var toolVersion: String
  /// The text of the model's config.json.
  public var configuration: String?
  /// Texts of the files that belong to the model, such as tokenizer.json, by file name.
  public var companions: [String: String]
  public var recipeName: String
  /// The recipe with every default written out, canonical JSON.
  public var recipe: String
  public var recipeHash: String
  /// The source container's format.
  public var sourceFormat: String
  /// String metadata of the source checkpoint.
  public var sourceMetadata: [String: String]
  /// SHA-256 of each source tensor's values (decoded, little-endian), by name; empty when hashing
  /// was switched off.
  public var sourceHashes: [String: String]
  /// SHA-256 of the calibration tokens, when a method used any.
  public var calibrationHash: String?
  /// What calibrated methods gathered their statistics from, in words.
  public var calibration: String?
  /// How a run of the model keeps keys and values of older tokens; nil: exactly.
  public var keyValueScheme: KeyValueScheme?
  /// Stored scales that keys and values are rounded under; nil: none.
  public var keyValueScales: KeyValueScales?
  /// What was done to the model around its weights, JSON: `log`, and by `tensors` that are not the
  /// source's any more what happened to them; nil when nothing was.
  public var edits: String?
  public var seed: UInt64
  /// The numeric path that the values came by: BLAS core and version, kernel target.
  public var fingerprint: String
  /// How the values were tuned after compressing, canonical JSON; nil when they were not.
  public var tuning: String?

  public init(
    toolVersion: String, configuration: String? = nil, companions: [String: String] = [:],
    recipeName: String, recipe: String, recipeHash: String, sourceFormat: String,
    sourceMetadata: [String: String] = [:], sourceHashes: [String: String] = [:],
    calibrationHash: String? = nil, calibration: String? = nil,
    keyValueScheme: KeyValueScheme? = nil, keyValueScales: KeyValueScales? = nil,
    edits: String? = nil, seed: UInt64, fingerprint: String
  ) {
    self.toolVersion = toolVersion
    self.configuration = configuration
    self.companions = companions
    self.recipeName = recipeName
    self.recipe = recipe
    self.recipeHash = recipeHash
    self.sourceFormat = sourceFormat
    self.sourceMetadata = sourceMetadata
    self.sourceHashes = sourceHashes
    self.calibrationHash = calibrationHash
    self.calibration = calibration
    self.keyValueScheme = keyValueScheme
    self.keyValueScales = keyValueScales
    self.edits = edits
    self.seed = seed
    self.fingerprint = fingerprint
  }

  /// The tensors that are not the source's any more.
  public var editedTensors: Set<String> {
    guard let edits, let object = (try? JSONParser.parse(edits))?["tensors"]?.object else {
      return []
    }
    return Set(object.keys)
  }

  /// The root attributes that carry this header.
  var attributes: [String: AttributeValue] {
    var result: [String: AttributeValue] = [
      "format": .string(ArtefactFormat.name),
      "format_version": .int(ArtefactFormat.version),
      "tool_version": .string(toolVersion),
      "recipe_name": .string(recipeName),
      "recipe": .string(recipe),
      "recipe_sha256": .string(recipeHash),
      "source_format": .string(sourceFormat),
      "source_metadata": .string(Self.json(sourceMetadata)),
      "source_sha256": .string(Self.json(sourceHashes)),
      "seed": .string(String(seed)),
      "fingerprint": .string(fingerprint),
    ]
    if let configuration { result["config"] = .string(configuration) }
    if let tuning { result["tuning"] = .string(tuning) }
    if let edits { result["edits"] = .string(edits) }
    if let calibrationHash { result["calibration_sha256"] = .string(calibrationHash) }
    if let calibration { result["calibration"] = .string(calibration) }
    if let keyValueScheme { result[KeyValueScheme.attribute] = .string(keyValueScheme.headerText) }
    if let keyValueScales { result[KeyValueScales.attribute] = .string(keyValueScales.headerText) }
    for (name, text) in companions {
      result[ArtefactFormat.companionPrefix + name] = .string(text)
    }
    return result
  }

  /// The header that root attributes carry.
  ///
  /// - Throws: `ArtefactError.missingAttribute`, `.notAnArtefact` or `.newerVersion`.
  init(attributes: [String: AttributeValue], path: String) throws(ArtefactError) {
    guard attributes["format"]?.string == ArtefactFormat.name else {
      throw .notAnArtefact(path: path)
    }
    guard let version = attributes["format_version"]?.int else {
      throw .missingAttribute(path: path, object: "/", attribute: "format_version")
    }
    guard version <= ArtefactFormat.version, version >= 1 else {
      throw .newerVersion(path: path, found: version, known: ArtefactFormat.version)
    }
    func text(_ name: String) throws(ArtefactError) -> String {
      guard let value = attributes[name]?.string else {
        throw .missingAttribute(path: path, object: "/", attribute: name)
      }
      return value
    }
    let seedText = try text("seed")
    guard let seed = UInt64(seedText) else {
      throw .invalidAttribute(path: path, object: "/", attribute: "seed", found: seedText)
    }
    self.init(
      toolVersion: try text("tool_version"), configuration: attributes["config"]?.string,
      recipeName: try text("recipe_name"), recipe: try text("recipe"),
      recipeHash: try text("recipe_sha256"), sourceFormat: try text("source_format"),
      sourceMetadata: try Self.strings(try text("source_metadata"), "source_metadata", path),
      sourceHashes: try Self.strings(try text("source_sha256"), "source_sha256", path),
      calibrationHash: attributes["calibration_sha256"]?.string,
      calibration: attributes["calibration"]?.string,
      keyValueScheme: try KeyValueScheme(
        header: attributes[KeyValueScheme.attribute], path: path),
      keyValueScales: try KeyValueScales(
        header: attributes[KeyValueScales.attribute], path: path),
      edits: attributes["edits"]?.string, seed: seed,
      fingerprint: try text("fingerprint"))
    tuning = attributes["tuning"]?.string
    for (name, value) in attributes where name.hasPrefix(ArtefactFormat.companionPrefix) {
      guard let text = value.string else {
        throw .invalidAttribute(path: path, object: "/", attribute: name, found: "\(value)")
      }
      companions[String(name.dropFirst(ArtefactFormat.companionPrefix.count))] = text
    }
  }

  private static func json(_ strings: [String: String]) -> String {
    var object = JSONObject()
    for (key, value) in strings.sorted(by: { $0.key < $1.key }) { object[key] = .string(value) }
    return JSONValue.object(object).text(.canonical)
  }

  private static func strings(
    _ text: String, _ attribute: String, _ path: String
  ) throws(ArtefactError) -> [String: String] {
    guard let object = (try? JSONParser.parse(text))?.object else {
      throw .invalidAttribute(
        path: path, object: "/", attribute: attribute, found: String(text.prefix(40)))
    }
    var result: [String: String] = [:]
    for (key, value) in object.members {
      guard let string = value.string else {
        throw .invalidAttribute(
          path: path, object: "/", attribute: attribute, found: String(text.prefix(40)))
      }
      result[key] = string
    }
    return result
  }
}
