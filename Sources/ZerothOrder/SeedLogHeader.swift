import JSONText

/// What a log says before its steps: enough to replay them, and to know that they fit.
public struct SeedLogHeader: Sendable, Hashable {
  /// SHA-256 of the file that the run started from.
  public var baseHash: String
  /// Who wrote it, and the numeric path.
  public var tool: String
  public var options: TuningOptions
  public var constants: TuningConstants
  /// What was learnt, and from what: for people, and to refuse to go on with something else.
  public var objective: String
  public var data: String
  public var parameters: [Entry]

  /// One parameter: as replaying needs it.
  public struct Entry: Sendable, Hashable {
    public var name: String
    public var count: Int
    public var unit: Float
    public var threshold: Float?
  }

  public init(
    baseHash: String, tool: String, options: TuningOptions, constants: TuningConstants,
    objective: String, data: String, space: ParameterSpace
  ) {
    self.baseHash = baseHash
    self.tool = tool
    self.options = options
    self.constants = constants
    self.objective = objective
    self.data = data
    parameters = space.parameters.map {
      Entry(name: $0.name, count: $0.count, unit: $0.unit, threshold: $0.threshold)
    }
  }

  var json: JSONValue {
    var object = JSONObject()
    object["version"] = .init(SeedLog.version)
    object["base_sha256"] = .init(baseHash)
    object["tool"] = .init(tool)
    object["options"] = options.json
    object["epsilon"] = .init(constants.epsilon)
    object["learning_rate"] = .init(constants.learningRate)
    object["clip"] = constants.clip.isFinite ? .init(constants.clip) : .null
    object["objective"] = .init(objective)
    object["data"] = .init(data)
    object["parameters"] = .array(
      parameters.map { entry in
        [
          "name": .init(entry.name), "count": .init(entry.count), "unit": .init(entry.unit),
          "threshold": entry.threshold.map { .init($0) } ?? .null,
        ]
      })
    return .object(object)
  }

  init(json: JSONValue, path: String) throws(ZerothOrderError) {
    let version = json["version"]?.int ?? 0
    guard version >= 1 else { throw .logDamaged(path: path, reason: "its header has no version") }
    guard version <= SeedLog.version else {
      throw .logVersion(path: path, found: version, known: SeedLog.version)
    }
    func need<T>(_ name: String, _ value: T?) throws(ZerothOrderError) -> T {
      guard let value else {
        throw .logDamaged(path: path, reason: "its header lacks a sound '\(name)'")
      }
      return value
    }
    func float(_ name: String) throws(ZerothOrderError) -> Float {
      let text: String? = if case .number(let text)? = json[name] { text } else { nil }
      return try need(name, text.flatMap(Float.init))
    }
    baseHash = try need("base_sha256", json["base_sha256"]?.string)
    tool = try need("tool", json["tool"]?.string)
    options = try need("options", json["options"].flatMap(TuningOptions.init(json:)))
    let hasClip = json["clip"].map { !$0.isNull } ?? false
    constants = TuningConstants(
      epsilon: try float("epsilon"), learningRate: try float("learning_rate"),
      clip: hasClip ? try float("clip") : .infinity)
    objective = try need("objective", json["objective"]?.string)
    data = try need("data", json["data"]?.string)
    var entries: [Entry] = []
    for item in try need("parameters", json["parameters"]?.array) {
      guard let name = item["name"]?.string, let count = item["count"]?.int,
        case .number(let unit)? = item["unit"], let value = Float(unit)
      else { throw .logDamaged(path: path, reason: "its list of parameters is not sound") }
      let threshold: Float? =
        if case .number(let text)? = item["threshold"] { Float(text) } else { nil }
      entries.append(Entry(name: name, count: count, unit: value, threshold: threshold))
    }
    parameters = entries
  }

  /// Gives a space the units and thresholds of this run.
  ///
  /// - Throws: `ZerothOrderError.logDamaged` when the parameters are not those of the log.
  func settle(_ space: inout ParameterSpace, path: String) throws(ZerothOrderError) {
    guard space.parameters.count == parameters.count,
      zip(space.parameters, parameters).allSatisfy({ $0.name == $1.name && $0.count == $1.count })
    else {
      throw .logDamaged(path: path, reason: "its parameters are not those of the base")
    }
    for (index, entry) in parameters.enumerated() {
      space.parameters[index].unit = entry.unit
      space.parameters[index].threshold = entry.threshold
    }
  }
}
