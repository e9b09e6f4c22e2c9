import Tensors

/// Groups of inputs side by side, in one of several formats each (SliM-LLM's layout).
///
/// Groups of one class lie together, in their own order, as one base of that class; where each
/// belongs is in `members`, one byte a group for all rows.
public struct MixedBase: Sendable {
  public let rows: Int
  public let columns: Int
  /// Inputs of a group; divides the width.
  public let group: Int
  /// The class of each group, u8 of columns / group.
  public let members: Tensor
  /// Integer and table bases, none of them empty: `rows × (its groups · group)` each.
  public let classes: [Base]

  public init(rows: Int, columns: Int, group: Int, members: Tensor, classes: [Base]) {
    self.rows = rows
    self.columns = columns
    self.group = group
    self.members = members
    self.classes = classes
  }

  var payloads: [Tensor] { [members] + classes.flatMap(\.payloads) }

  /// Of every class the groups that it holds, ascending.
  var groups: [[Int]] {
    var result = [[Int]](repeating: [], count: classes.count)
    for (index, number) in members.bytes.array(of: UInt8.self).enumerated() {
      result[Int(number)].append(index)
    }
    return result
  }

  /// Decodes some rows to `target`, which has room for `range.count × columns`.
  func decode(rows range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    for (base, groups) in zip(classes, groups) {
      let width = groups.count * group
      precondition(base.columns == width, "\(base.columns) columns for \(width)")
      let part = UnsafeMutablePointer<Float>.allocate(capacity: max(range.count * width, 1))
      defer { part.deallocate() }
      base.decode(rows: range, into: part)
      for row in 0..<range.count {
        for (place, index) in groups.enumerated() {
          (target + row * columns + index * group).update(
            from: part + row * width + place * group, count: group)
        }
      }
    }
  }

  func encodedParts(path: String) -> [EncodedWeight.Part] {
    typealias Name = EncodedWeight.Name
    let attributes: [String: AttributeValue] = [
      Name.group: .int(group), Name.columns: .int(columns), Name.rows: .int(rows),
    ]
    return [.init(path: path + "/members", tensor: members, attributes: attributes)]
      + classes.enumerated().flatMap { $1.encodedParts(path: "\(path)/\($0)") }
  }

  func validate(part: String, rows: Int, columns: Int) throws(WeightsError) {
    guard self.rows == rows, self.columns == columns else {
      throw .shape(
        part: part + "/members", expected: [rows, columns], found: [self.rows, self.columns])
    }
    guard group >= 1, columns % group == 0 else {
      throw .groupDoesNotDivide(group: group, columns: columns)
    }
    try members.check(part: part + "/members", types: [.u8], shape: [columns / group])
    var counts = [Int](repeating: 0, count: classes.count)
    for (index, number) in members.bytes.array(of: UInt8.self).enumerated() {
      guard Int(number) < counts.count else {
        throw .classUnknown(
          part: part + "/members", index: index, number: Int(number), count: counts.count)
      }
      counts[Int(number)] += 1
    }
    for (number, base) in classes.enumerated() {
      let path = "\(part)/\(number)"
      guard counts[number] > 0 else { throw .unexpectedPart(path) }
      switch base {
      case .integer, .table:
        try base.validate(part: path, rows: rows, columns: counts[number] * group)
      case .dense, .sparse, .blocks, .mixed, .planes: throw .unexpectedPart(path)
      }
    }
  }
}
