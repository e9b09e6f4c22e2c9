import Artefacts
import JSONText
import RunRecords
import Tensors

/// The journal's lines as text.
enum JournalLine {
  private static let version = 1

  static func header(_ identity: RunIdentity) -> String {
    var object = JSONObject()
    object["journal"] = JSONValue(version)
    for fact in identity.facts { object[fact.what] = JSONValue(fact.value) }
    return JSONValue.object(object).text() + "\n"
  }

  static func identity(_ line: [UInt8]) -> RunIdentity? {
    guard let object = (try? JSONParser.parse(line))?.object, object["journal"]?.int == version
    else { return nil }
    return RunIdentity(
      facts: object.members.dropFirst().compactMap { member in
        member.value.string.map { RunIdentity.Fact(what: member.key, value: $0) }
      })
  }

  static func line(_ tensor: FinishedTensor) -> String {
    var object = JSONObject()
    object["name"] = JSONValue(tensor.entry.name)
    object["part_bytes"] = JSONValue(tensor.partBytes)
    object["source_sha256"] = tensor.sourceHash.map { JSONValue($0) }
    switch tensor.entry.content {
    case .tied(let name): object["tied"] = JSONValue(name)
    case .tensor(let dataset): object["tensor"] = json(dataset)
    case .weight(let attributes, let datasets):
      object["weight"] = json(attributes)
      object["parts"] = .array(datasets.map(json))
    }
    object["record"] = tensor.record.json
    return JSONValue.object(object).text() + "\n"
  }

  static func finished(_ line: [UInt8], folder: String) -> FinishedTensor? {
    guard let value = try? JSONParser.parse(line), let name = value["name"]?.string,
      let partBytes = value["part_bytes"]?.int, let record = value["record"],
      let parsed = TensorRecord(json: record)
    else { return nil }
    let content: ArtefactEntry.Content
    if let target = value["tied"]?.string {
      content = .tied(to: target)
    } else if let tensor = value["tensor"], let dataset = dataset(tensor, folder) {
      content = .tensor(dataset)
    } else if let weight = value["weight"], let parts = value["parts"]?.array {
      let datasets = parts.compactMap { dataset($0, folder) }
      guard datasets.count == parts.count else { return nil }
      content = .weight(attributes: attributes(weight), datasets: datasets)
    } else {
      return nil
    }
    return FinishedTensor(
      entry: ArtefactEntry(name: name, content: content), record: parsed,
      sourceHash: value["source_sha256"]?.string, partBytes: partBytes)
  }

  private static func json(_ dataset: ArtefactDataset) -> JSONValue {
    var object = JSONObject()
    object["path"] = JSONValue(dataset.path)
    object["dtype"] = JSONValue(dataset.dtype.rawValue)
    object["shape"] = .array(dataset.shape.dimensions.map { JSONValue($0) })
    object["attributes"] = json(dataset.attributes)
    object["sha256"] = dataset.sha256.map { JSONValue($0) }
    // Only the file's name: the work folder may be reached by another path next time.
    let file = dataset.location.file.split(separator: "/").last.map(String.init) ?? ""
    object["file"] = JSONValue(file)
    object["offset"] = JSONValue(dataset.location.offset)
    return .object(object)
  }

  private static func dataset(_ value: JSONValue, _ folder: String) -> ArtefactDataset? {
    guard let path = value["path"]?.string, let type = value["dtype"]?.string,
      let dtype = DType(rawValue: type), let extents = value["shape"]?.array,
      let shape = try? Shape(checking: extents.compactMap(\.int)), let file = value["file"]?.string,
      let offset = value["offset"]?.int
    else { return nil }
    return ArtefactDataset(
      path: path, dtype: dtype, shape: shape,
      attributes: value["attributes"].map(attributes) ?? [:], sha256: value["sha256"]?.string,
      location: PartLocation(file: folder + "/" + file, offset: offset))
  }

  /// Attributes keep their kind: "i" integer, "d" double, "s" string, in capitals for lists.
  private static func json(_ attributes: [String: AttributeValue]) -> JSONValue {
    var object = JSONObject()
    for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
      let tagged: JSONValue =
        switch value {
        case .int(let value): ["i": JSONValue(value)]
        case .double(let value): ["d": JSONValue(value)]
        case .string(let value): ["s": JSONValue(value)]
        case .ints(let values): ["I": .array(values.map { JSONValue($0) })]
        case .doubles(let values): ["D": .array(values.map { JSONValue($0) })]
        case .strings(let values): ["S": .array(values.map { JSONValue($0) })]
        }
      object[name] = tagged
    }
    return .object(object)
  }

  private static func attributes(_ value: JSONValue) -> [String: AttributeValue] {
    var result: [String: AttributeValue] = [:]
    for (name, tagged) in value.object?.members ?? [] {
      guard let member = tagged.object?.members.first else { continue }
      switch member.key {
      case "i": result[name] = member.value.int.map { .int($0) }
      case "d": result[name] = member.value.double.map { .double($0) }
      case "s": result[name] = member.value.string.map { .string($0) }
      case "I": result[name] = .ints(member.value.array?.compactMap(\.int) ?? [])
      case "D": result[name] = .doubles(member.value.array?.compactMap(\.double) ?? [])
      case "S": result[name] = .strings(member.value.array?.compactMap(\.string) ?? [])
      default: continue
      }
    }
    return result
  }
}
