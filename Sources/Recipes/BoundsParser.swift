/// Reads bounds files, with the recipes' diagnostics.
public enum BoundsParser {
  /// The bounds that the bytes of a file hold.
  ///
  /// - Throws: all that is wrong with the bytes, each at its line and column.
  public static func parse(
    bytes: [UInt8], file: String
  ) throws(RecipeErrors) -> ValidationBounds {
    var sink = DiagnosticSink(file: file)
    guard let value = YAMLComposer.compose(bytes, &sink) else { throw RecipeErrors(sink.sorted) }
    var bounds = ValidationBounds()
    guard case .mapping(let entries) = value.content else {
      sink.error(at: value.position, "bounds are a mapping with 'total' and 'tensors'")
      throw RecipeErrors(sink.sorted)
    }
    for entry in entries {
      switch entry.key {
      case "total":
        bounds.total.read(entry.value, owner: "'total'", complete: false, &sink)
      case "tensors":
        bounds.tensors.read(entry.value, owner: "'tensors'", complete: false, &sink)
      default:
        sink.unknown(
          "key", entry.key, of: "the bounds", known: ["total", "tensors"], at: entry.position)
      }
    }
    guard sink.errorCount == 0 else { throw RecipeErrors(sink.sorted) }
    return bounds
  }
}

extension ValidationBounds.Limits: DeclaredBlock {
  static var defaults: Self { Self() }

  static let options: [OptionDeclaration<Self>] = [
    .optional(
      "relative_error", \.relativeError, .number(0...1e9), "At most ‖W − Ŵ‖ / ‖W‖."),
    .optional(
      "output_error", \.outputError, .number(0...1e9),
      "At most ‖X(W − Ŵ)ᵀ‖ / ‖XWᵀ‖, with --statistics."),
    .optional(
      "perplexity_ratio", \.perplexityRatio, .number(0...1e9), "At most, with --data; total."),
    .optional("kl_mean", \.divergence, .number(0...1e9), "At most, with --data; total."),
    .optional("top1_agreement", \.agreement, .number(0...1), "At least, with --data; total."),
    .optional(
      "cache_bits", \.cacheBits, .number(0...64),
      "At most, of a number in the cache of keys and values; exact ones have 16; total."),
    .optional(
      "cache_kl", \.cacheDivergence, .number(0...1e9),
      "At most what rounding keys and values adds to kl_mean, with --data; total."),
    .optional("snr_db", \.signalToNoise, .number(-1e3...1e3), "At least this many dB."),
    .optional("max_absolute", \.maximumAbsolute, .number(0...1e30), "At most max |W − Ŵ|."),
    .optional("cosine", \.cosine, .number(-1...1), "At least this cosine."),
    .optional(
      "bits_per_weight", \.bitsPerWeight, .number(0...64), "At most, everything stored counted."),
    .optional("ratio", \.ratio, .number(0...1e6), "At least this many times smaller."),
  ]
}
