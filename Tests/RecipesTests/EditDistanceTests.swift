import Recipes
import Testing

@Suite("Edit distance")
struct EditDistanceTests {
  @Test(arguments: [
    ("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("grup", "group", 1), ("gruop", "group", 1),
    ("kitten", "sitting", 3), ("ab", "ba", 1), ("abcd", "acbd", 1), ("é", "e", 1),
    ("flaw", "lawn", 2), ("ca", "abc", 3),
  ])
  func distances(_ left: String, _ right: String, _ distance: Int) {
    #expect(EditDistance.between(left, right) == distance)
    #expect(EditDistance.between(right, left) == distance)
  }

  @Test func isAMetricOnRandomWords() {
    var generator = SplitMix(state: 3)
    func word() -> String {
      String(
        (0..<Int.random(in: 0...6, using: &generator)).map { _ in
          "abc".randomElement(using: &generator) ?? "a"
        })
    }
    for _ in 0..<500 {
      let a = word(), b = word()
      let distance = EditDistance.between(a, b)
      #expect(distance <= max(a.count, b.count) && distance >= abs(a.count - b.count))
      #expect((distance == 0) == (a == b))
    }
  }

  @Test func onlyNearWordsAreSuggested() {
    let keys = ["method", "bits", "group", "symmetric"]
    #expect(EditDistance.nearest(to: "Groups", among: keys) == "group")
    #expect(EditDistance.nearest(to: "bist", among: keys) == "bits")
    #expect(EditDistance.nearest(to: "xyz", among: keys) == nil)
    #expect(EditDistance.nearest(to: String(repeating: "b", count: 9999), among: keys) == nil)
  }
}
