/// What all names of a list begin and end with, so that a narrow table can leave it out.
struct CommonAffixes {
  let prefix: String
  let suffix: String

  /// The longest common beginning that ends at a ".", and end that begins at one; both empty when
  /// little would be won.
  init(_ names: [String]) {
    guard names.count > 1, let first = names.first else {
      (prefix, suffix) = ("", "")
      return
    }
    var head = Substring(first)
    var tail = Substring(first)
    for name in names.dropFirst() {
      head = head.commonPrefix(with: name)[...]
      tail =
        String(String(tail.reversed()).commonPrefix(with: String(name.reversed())).reversed())[...]
    }
    let cutHead =
      head.lastIndex(where: { $0 == "." || $0 == "/" }).map { String(head[...$0]) } ?? ""
    let cutTail =
      tail.firstIndex(where: { $0 == "." || $0 == "/" }).map { String(tail[$0...]) } ?? ""
    let shortest = names.map(\.count).min() ?? 0
    guard cutHead.count + cutTail.count >= 4, cutHead.count + cutTail.count < shortest else {
      (prefix, suffix) = ("", "")
      return
    }
    (prefix, suffix) = (cutHead, cutTail)
  }

  /// A name without what all have in common.
  func inner(of name: String) -> String {
    String(name.dropFirst(prefix.count).dropLast(suffix.count))
  }

  /// A line that says what the names lack; nil when they lack nothing.
  var sentence: String? {
    prefix.isEmpty && suffix.isEmpty ? nil : "names: \(prefix)…\(suffix)"
  }
}

extension StringProtocol {
  fileprivate func commonPrefix(with other: some StringProtocol) -> String {
    var result = ""
    for (left, right) in zip(self, other) {
      guard left == right else { break }
      result.append(left)
    }
    return result
  }
}
