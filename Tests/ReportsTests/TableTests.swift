import Testing

@testable import Reports

@Suite struct TableTests {
  @Test func alignment() {
    var table = TextTable([("name", .left), ("size", .right)], flexible: 0)
    table.add(["a", "1"])
    table.add(["long name", "12345"])
    #expect(table.text() == "name        size\na              1\nlong name  12345\n")
  }

  @Test func theFlexibleColumnIsCutInItsMiddle() {
    var table = TextTable([("name", .left), ("size", .right)], flexible: 0)
    table.add([String(repeating: "a", count: 30) + String(repeating: "z", count: 30), "12345"])
    let lines = table.text(width: 40).split(separator: "\n")
    #expect(lines[1].count == 40)
    #expect(lines[1].hasPrefix("aaaaaaaaaaaaaaaa…zzzz"))
    #expect(lines[1].hasSuffix("zz  12345"))
  }

  @Test func otherTextsGiveWayWhenTheFlexibleOneCannot() {
    var table = TextTable(
      [("tensor", .left), ("stored", .left), ("error", .right)], flexible: 0)
    table.add([
      String(repeating: "n", count: 60), "int4 g128, sparse 50%, 12 columns, +r16, +r16, scaled",
      "0.123456789012345678901234567890",
    ])
    for line in table.text(width: 80).split(separator: "\n") { #expect(line.count <= 80) }
    #expect(table.text(width: 80).contains("0.123456789012345678901234567890"))
    // Nothing is cut where there is room.
    #expect(table.text(width: 300).contains("12 columns, +r16, +r16, scaled"))
  }

  @Test func shortening() {
    #expect(TextTable.shortened("abcdefgh", to: 8) == "abcdefgh")
    #expect(TextTable.shortened("abcdefgh", to: 7) == "abc…fgh")
    #expect(TextTable.shortened("abcdefgh", to: 4) == "a…gh")
  }

  @Test(arguments: [
    (["model.layers.0.q.weight", "model.layers.1.k.weight"], "model.layers.", ".weight"),
    // A common part ends at a separator, not in the middle of a word.
    (["encoder.abc.w", "encoder.abd.w"], "encoder.", ".w"),
    // Little to win, one name, nothing left of a name: whole names.
    (["a.b", "a.c"], "", ""), (["model.layers.0.weight"], "", ""),
    (["model.weight", "model.weight"], "", ""), (["a/b/x/w", "a/b/y/w"], "a/b/", "/w"),
  ])
  func commonAffixes(_ names: [String], _ prefix: String, _ suffix: String) {
    let affixes = CommonAffixes(names)
    #expect(affixes.prefix == prefix)
    #expect(affixes.suffix == suffix)
    for name in names { #expect(prefix + affixes.inner(of: name) + suffix == name) }
  }
}
