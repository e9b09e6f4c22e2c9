/// How much the lost share of a layer's output counts beside other layers' in a budget.
///
/// Two things that the share alone does not tell, found by comparing it with the KL of uniform recipes
/// (docs/quality.md, "Low-rank repair and budgets").
enum LayerImportance {
  /// How many times more the leading directions of an error count, those that a repair could take.
  ///
  /// They are what many tokens have in common: it adds up from layer to layer, where the rest
  /// averages out.
  static let coherence = 2.0

  /// Layers of the same name before and after one that say what is usual there.
  static let reach = 3

  /// The energy of each output over the median of its neighbours' of the same name.
  ///
  /// What follows sees an error beside what the layers around write, not beside the layer's own output.
  /// A layer of massive activations writes, for a few tokens, hundreds of times as much as those before
  /// and after it: a thousandth of its energy is more than all of theirs.
  static func of(names: [String], energies: [Double]) -> [Double] {
    var kinds: [String: [(place: [Int], index: Int)]] = [:]
    for (index, name) in names.enumerated() {
      let (kind, place) = split(name)
      kinds[kind, default: []].append((place, index))
    }
    var result = [Double](repeating: 1, count: names.count)
    for members in kinds.values {
      let order = members.sorted { $0.place.lexicographicallyPrecedes($1.place) }.map(\.index)
      for (position, index) in order.enumerated() {
        let near = order[max(0, position - reach)...min(order.count - 1, position + reach)]
          .map { energies[$0] }.sorted()
        let median = (near[(near.count - 1) / 2] + near[near.count / 2]) / 2
        if median > 0, energies[index] > 0 { result[index] = energies[index] / median }
      }
    }
    return result
  }

  /// A name with its numbers taken out, and these.
  static func split(_ name: String) -> (kind: String, numbers: [Int]) {
    var (kind, numbers, digits) = ("", [Int](), "")
    for character in name + "." {
      if character.isASCII, character.isNumber {
        digits.append(character)
      } else {
        if let number = Int(digits) {
          numbers.append(number)
          kind += "#"
        } else {
          kind += digits
        }
        digits = ""
        kind.append(character)
      }
    }
    return (kind, numbers)
  }
}
