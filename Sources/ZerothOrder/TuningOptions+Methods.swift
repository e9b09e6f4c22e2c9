extension TuningOptions {
  /// The methods that have names, in the order of the documentation.
  public static let names = ["qzo", "qzo-paper", "mezo", "sparse-mezo", "lora", "zo-adam"]

  /// The settings of a method by its name; nil for an unknown one.
  public static func named(_ name: String) -> TuningOptions? {
    var result = TuningOptions()
    switch name {
    case "qzo": break
    case "qzo-paper":
      // QZO, arXiv 2505.13430: absolute scales, Gaussian directions, |slope| at most 100.
      result.form = .absolute
      result.relativeUnits = false
      result.distribution = .gaussian
      result.epsilon = 1e-3
      result.clip = .value(100)
    case "mezo":
      result.parameters = [.dense]
      result.form = .absolute
    case "sparse-mezo":
      result.parameters = [.dense]
      result.form = .absolute
      result.sparsity = 0.8
    case "lora":
      result.parameters = [.lowRank]
      result.form = .absolute
    case "zo-adam":
      result.rule = .adam
    default: return nil
    }
    return result
  }
}
