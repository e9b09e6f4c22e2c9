import Checkpoints
import JSONText
import Tensors
import Weights

/// An artefact that is open for reading: its structure was validated when it was opened, a
/// weight's values are when it is asked for.
public final class ArtefactFile: Sendable {
  public let path: String
  public let header: ArtefactHeader
  /// The tensors' names in the model's order.
  public let names: [String]

  let file: HDF5File
  private let places: [String: Place]
  let descriptions: [String: TensorDescription]

  /// Where a tensor is in the file.
  struct Place: Sendable {
    var object: Object
    /// The first name of the same object, when this is a second one.
    var tiedTo: String?

    enum Object: Sendable {
      case tensor(HDF5Dataset)
      case weight(HDF5Group)
    }
  }

  /// Opens and validates an artefact.
  ///
  /// - Throws: `CheckpointError` when it is no sound HDF5 file, `ArtefactError` when it is no sound
  ///   artefact.
  public init(path: String) throws {
    let file = try HDF5File(path: path)
    self.file = file
    self.path = path
    descriptions = Dictionary(file.tensors.map { ($0.name, $0) }) { first, _ in first }
    header = try ArtefactHeader(attributes: file.root.attributes, path: path)
    let places = try Self.places(in: file, path: path)
    names = try Self.order(in: file, places, path: path)
    self.places = Self.ties(places, names)
  }

  private static func places(in file: HDF5File, path: String) throws -> [String: Place] {
    var places: [String: Place] = [:]
    func add(_ name: String, _ object: Place.Object) throws(ArtefactError) {
      guard places.updateValue(Place(object: object), forKey: name) == nil else {
        throw .duplicateName(path: path, name: name)
      }
    }
    var aliases: [(name: String, of: String)] = []
    for groupName in [ArtefactFormat.tensorsGroup, ArtefactFormat.weightsGroup] {
      guard let group = file.root.group(groupName) else {
        throw ArtefactError.unexpectedObject(
          path: path, object: "/" + groupName, expected: "a group")
      }
      let isWeights = groupName == ArtefactFormat.weightsGroup
      for child in group.children {
        let name = ArtefactFormat.unescaped(child.name)
        switch child.content {
        case .dataset(let dataset) where !isWeights:
          try add(name, .tensor(dataset))
        case .group(let weight) where isWeights:
          try add(name, .weight(weight))
        case .alias(let first) where ArtefactFormat.isTensorPath(first):
          aliases.append((name, ArtefactFormat.unescaped(Self.lastName(first))))
        default:
          throw ArtefactError.unexpectedObject(
            path: path, object: "/\(groupName)/\(child.name)",
            expected: isWeights ? "a group" : "a dataset of numbers")
        }
      }
    }
    for (name, first) in aliases {
      guard var place = places[first] else {
        throw ArtefactError.noSuchTensor(path: path, name: first)
      }
      place.tiedTo = first
      guard places.updateValue(place, forKey: name) == nil else {
        throw ArtefactError.duplicateName(path: path, name: name)
      }
    }
    return places
  }

  /// The first name of an object is the one that comes first in the model, whatever the order in
  /// which the file lists its links.
  private static func ties(_ places: [String: Place], _ names: [String]) -> [String: Place] {
    var places = places
    var firsts: [String: String] = [:]
    for name in names {
      guard var place = places[name] else { continue }
      let object =
        switch place.object {
        case .tensor(let dataset): dataset.path
        case .weight(let group): group.path
        }
      place.tiedTo = firsts[object]
      if place.tiedTo == nil { firsts[object] = name }
      places[name] = place
    }
    return places
  }

  private static func lastName(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// The names in the model's order; they are exactly those that are there.
  private static func order(
    in file: HDF5File, _ places: [String: Place], path: String
  ) throws -> [String] {
    let attribute = ArtefactFormat.orderAttribute
    guard let text = file.root.attributes[attribute]?.string else {
      throw ArtefactError.missingAttribute(path: path, object: "/", attribute: attribute)
    }
    guard let list = (try? JSONParser.parse(text))?.array else {
      throw ArtefactError.invalidAttribute(
        path: path, object: "/", attribute: attribute, found: String(text.prefix(40)))
    }
    let names = list.compactMap(\.string)
    guard names.count == list.count else {
      throw ArtefactError.invalidAttribute(
        path: path, object: "/", attribute: attribute, found: String(text.prefix(40)))
    }
    var seen: Set<String> = []
    for name in names {
      guard seen.insert(name).inserted else {
        throw ArtefactError.duplicateName(path: path, name: name)
      }
      guard places[name] != nil else { throw ArtefactError.noSuchTensor(path: path, name: name) }
    }
    guard seen.count == places.count else {
      let extra = places.keys.filter { !seen.contains($0) }.sorted().first ?? ""
      throw ArtefactError.unexpectedObject(
        path: path, object: extra, expected: "among the names of the attribute '\(attribute)'")
    }
    return names
  }

  func place(of name: String) throws -> Place {
    guard let place = places[name] else { throw ArtefactError.noSuchTensor(path: path, name: name) }
    return place
  }

  /// The tensor's bytes, mapped.
  func tensor(_ dataset: HDF5Dataset) throws -> Tensor {
    guard let description = descriptions[dataset.path] else {
      throw ArtefactError.noSuchTensor(path: path, name: dataset.path)
    }
    let bytes =
      try file.mapped(description)
      ?? {
        let bytes = try Bytes(count: description.byteCount) { target in
          try file.read(description, rows: 0..<description.shape.rows, into: target)
        }
        return bytes
      }()
    return try Tensor(dtype: dataset.dtype, shape: dataset.shape, bytes: bytes)
  }
}
