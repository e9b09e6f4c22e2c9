/// The options of `outliers`: a few input columns keep a high precision beside the base.
public struct OutlierOptions: Sendable, Hashable {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// The columns with the largest norms.
    case columns
    /// The columns whose inputs are largest; needs statistics.
    case activations
  }

  /// How many columns.
  public enum Amount: Sendable, Hashable {
    case count(Int)
    /// This fraction of the inputs, in (0, 1).
    case fraction(Double)
  }

  public var method: Method
  public var amount: Amount
  public var values: FloatFormat
  @Incidental public var position: SourcePosition

  public init(
    method: Method = .columns, amount: Amount = .count(8), values: FloatFormat = .f16,
    position: SourcePosition = .none
  ) {
    self.method = method
    self.amount = amount
    self.values = values
    self.position = position
  }
}

extension OutlierOptions: StageOptions {
  static var defaults: Self { Self() }

  static let key = "outliers"
  static let summary = "Keeps a few input columns in high precision; the base holds zeros there."
  static let options: [OptionDeclaration<Self>] = [
    .required(
      "method", \.method, .choice(),
      """
      What is kept: `columns` takes the input columns with the largest norms; `activations` those \
      that the largest inputs of the calibration meet (LLM.int8()).
      """),
    .alternative(
      "count", of: "amount", .integer(1...65536), "How many columns of each weight.",
      get: { if case .count(let value) = $0.amount { value } else { nil } },
      set: { $0.amount = .count($1) }),
    .alternative(
      "fraction", of: "amount", .fraction, "The fraction of the columns of each weight.",
      get: { if case .fraction(let value) = $0.amount { value } else { nil } },
      set: { $0.amount = .fraction($1) }),
    .optional("values", \.values, .choice(), "The type that the columns are stored in."),
  ]
}
