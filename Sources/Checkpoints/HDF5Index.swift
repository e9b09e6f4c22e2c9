import CHDF5
import Tensors

/// The tree of a file's objects, made from what the child process found.
enum HDF5Index {
  /// Walks a file in a child process.
  static func read(_ input: HDF5Range) throws(CheckpointError) -> HDF5Group {
    let bytes = try HDF5ChildProcess.run(input) { pith_index_start($0) }
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(CheckpointError) in
        var parser = HDF5IndexParser(HDF5IndexCursor(buffer), input)
        return try parser.tree()
      }
    }
    return try result.get()
  }
}

/// Builds the tree from the records of Sources/CHDF5/index.h.
struct HDF5IndexParser {
  private var cursor: HDF5IndexCursor
  private let input: HDF5Range
  private var current = ""
  private var pathsByAddress: [UInt64: String] = [:]
  private var ranges: [(range: Range<Int>, path: String)] = []

  /// A child whose target may be known only when the whole file is read.
  private enum Draft {
    case group(path: String, attributes: [String: AttributeValue], children: [(String, Draft)])
    case known(HDF5Child.Content)
    case alias(address: UInt64, softTarget: String?)
  }

  init(_ cursor: HDF5IndexCursor, _ input: HDF5Range) {
    self.cursor = cursor
    self.input = input
  }

  mutating func tree() throws(CheckpointError) -> HDF5Group {
    do {
      let tag = try cursor.byte()
      guard tag == UInt8(ascii: "G") else { throw try failure(tag) }
      _ = try cursor.shownText()
      pathsByAddress[try cursor.number()] = ""
      let root = try group("", depth: 0)
      let end = try cursor.byte()
      guard end == UInt8(ascii: "E") else { throw try failure(end) }
      try checkOverlaps()
      guard case .group(let group) = resolved(root) else { throw HDF5IndexCursor.Ended() }
      return group
    } catch let error as CheckpointError {
      throw error
    } catch {
      throw refuse(.unreadable(object: current, reason: "its description ends early"))
    }
  }

  private func refuse(_ problem: HDF5Problem) -> CheckpointError {
    .hdf5(path: input.path, problem)
  }

  /// The error of an X record whose tag was just read.
  private mutating func failure(_ tag: UInt8) throws -> CheckpointError {
    guard tag == UInt8(ascii: "X") else { throw HDF5IndexCursor.Ended() }
    let kind = try cursor.byte()
    let name = try cursor.shownText()
    let reason = try cursor.shownText()
    let path = name.isEmpty ? current : Self.join(current, name)
    switch Character(Unicode.Scalar(kind)) {
    case "E": return refuse(.externalLink(path))
    case "P": return refuse(.nestedTooDeeply(limit: pith_index_depth))
    case "M": return refuse(.tooManyObjects(limit: pith_index_objects))
    case "B": return refuse(.attributeTooLarge(object: current, attribute: name))
    case "A": return refuse(.unreadableAttribute(object: current, attribute: name, reason: reason))
    case "N": return refuse(.invalidName(group: current))
    default: return refuse(.unreadable(object: path, reason: reason))
    }
  }

  private static func join(_ group: String, _ name: String) -> String {
    group.isEmpty ? name : group + "/" + name
  }

  private mutating func name() throws -> String {
    guard let name = try cursor.text(), !name.isEmpty else {
      throw refuse(.invalidName(group: current))
    }
    return name
  }

  private mutating func group(_ path: String, depth: Int) throws -> Draft {
    guard depth <= pith_index_depth else {
      throw refuse(.nestedTooDeeply(limit: pith_index_depth))
    }
    current = path
    var tag = try cursor.byte()
    let attributes = try attributes(&tag)
    var children: [(String, Draft)] = []
    var names: Set<[UInt8]> = []
    while tag != UInt8(ascii: "g") {
      guard "GDLSO".utf8.contains(tag) else { throw try failure(tag) }
      let name = try name()
      let childPath = Self.join(path, name)
      // By bytes: Swift holds differently composed accents to be equal, HDF5 does not.
      guard names.insert(Array(name.utf8)).inserted else { throw refuse(.repeatedName(childPath)) }
      let kind = tag
      let draft = try child(kind, childPath, depth: depth, next: &tag)
      children.append((name, draft))
      current = path
    }
    return .group(path: path, attributes: attributes, children: children)
  }

  private mutating func child(
    _ kind: UInt8, _ path: String, depth: Int, next tag: inout UInt8
  ) throws -> Draft {
    switch Character(Unicode.Scalar(kind)) {
    case "G":
      pathsByAddress[try cursor.number()] = path
      let group = try group(path, depth: depth + 1)
      tag = try cursor.byte()
      return group
    case "D":
      let address = try cursor.number()
      pathsByAddress[address] = path
      current = path
      let raw = try HDF5RawDataset(&cursor, address: address)
      tag = try cursor.byte()
      let attributes = try attributes(&tag)
      let content = try raw.validated(path: path, attributes: attributes, in: input)
      if case .dataset(let dataset) = content, let range = dataset.fileRange {
        ranges.append((range, path))
      }
      return .known(content)
    case "L":
      let draft = Draft.alias(address: try cursor.number(), softTarget: nil)
      tag = try cursor.byte()
      return draft
    case "S":
      let target = try cursor.shownText()
      let draft = Draft.alias(address: try cursor.number(), softTarget: target)
      tag = try cursor.byte()
      return draft
    default:
      let reason = try cursor.shownText()
      tag = try cursor.byte()
      return .known(.other(reason: "it is \(reason), not numbers"))
    }
  }

  private mutating func attributes(_ tag: inout UInt8) throws -> [String: AttributeValue] {
    var attributes: [String: AttributeValue] = [:]
    while tag == UInt8(ascii: "A") {
      let name = try cursor.shownText()
      let value = try attributeValue()
      if let value { attributes[name] = value }
      tag = try cursor.byte()
    }
    return attributes
  }

  private mutating func attributeValue() throws -> AttributeValue? {
    let kind = try cursor.byte()
    let isScalar = try cursor.byte() == 1
    let count = try cursor.count(upTo: pith_index_total_bytes)
    switch Character(Unicode.Scalar(kind)) {
    case "i", "u":
      let bits = try cursor.numbers(count)
      if kind == UInt8(ascii: "u"), bits.contains(where: { $0 > UInt64(Int64.max) }) {
        let values = bits.map { Double($0) }
        return isScalar ? values.first.map(AttributeValue.double) : .doubles(values)
      }
      let values = bits.map { Int(Int64(bitPattern: $0)) }
      return isScalar ? values.first.map(AttributeValue.int) : .ints(values)
    case "d":
      let values = try cursor.numbers(count).map(Double.init(bitPattern:))
      return isScalar ? values.first.map(AttributeValue.double) : .doubles(values)
    case "s":
      var values: [String] = []
      for _ in 0..<count { values.append(try cursor.shownText()) }
      return isScalar ? values.first.map(AttributeValue.string) : .strings(values)
    default: return nil
    }
  }

  private func checkOverlaps() throws(CheckpointError) {
    let sorted = ranges.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (first, second) in zip(sorted, sorted.dropFirst())
    where first.range.upperBound > second.range.lowerBound {
      throw refuse(.overlapping(first.path, second.path))
    }
  }

  private func resolved(_ draft: Draft) -> HDF5Child.Content {
    switch draft {
    case .known(let content): return content
    case .group(let path, let attributes, let children):
      return .group(
        HDF5Group(
          path: path, attributes: attributes,
          children: children.map { HDF5Child(name: $0.0, content: resolved($0.1)) }))
    case .alias(let address, let softTarget):
      if let path = pathsByAddress[address] { return .alias(of: path) }
      return .other(reason: "it is a link to '\(softTarget ?? "")', which leads to no dataset here")
    }
  }
}
