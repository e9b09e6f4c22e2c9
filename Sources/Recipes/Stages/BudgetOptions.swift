/// The options of `budget`: bits, group and rank of every weight under one total.
public struct BudgetOptions: Sendable, Hashable {
  /// Stored bits for each weight over all compressed tensors, everything counted.
  public var totalBits: Double
  @Incidental public var position: SourcePosition

  public init(totalBits: Double = 4.25, position: SourcePosition = .none) {
    self.totalBits = totalBits
    self.position = position
  }
}

extension BudgetOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "budget"
  static let summary =
    "Chooses bits, group and rank of every weight together, from errors measured while planning."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "total_bits", \.totalBits, .number(2.05...9),
      """
      Stored bits for each weight over all compressed tensors: codes, scales, zero points and \
      factors. GPTQ and EoRA are tried on every weight, so that the plan takes as long as several runs. \
      The only stage of its recipe.
      """)
  ]
}
