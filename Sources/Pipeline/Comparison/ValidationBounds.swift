import Recipes
import RunRecords

extension ValidationBounds {
  /// Reads a bounds file.
  public static func load(_ path: String) throws -> ValidationBounds {
    try BoundsParser.parse(bytes: try RecipeFile.smallFile(path), file: path)
  }

  /// A sentence for each figure of a record that is outside its bound.
  public func missed(by record: RunRecord) -> [String] {
    var result: [String] = []
    let totals = record.totals
    result += total.missed(
      subject: "total", error: totals.error, bits: totals.compressedBitsPerWeight,
      ratio: totals.ratio)
    result += total.missed(by: record.modelFigures)
    // A cache without rounding holds f16 numbers; one of unknown layout has no figure, and misses.
    let cacheBits = record.keyValueCache.map { $0.size?.bitsPerNumber ?? .nan } ?? 16
    if let limit = total.cacheBits, !(cacheBits <= limit) {
      result.append("total: cache_bits is \(cacheBits), the bound is at most \(limit)")
    }
    for tensor in record.tensors where tensor.error != nil {
      result += tensors.missed(
        subject: tensor.name, error: tensor.error,
        bits: tensor.compressed ? tensor.bitsPerWeight : nil, ratio: tensor.ratio)
    }
    return result
  }
}

extension ValidationBounds.Limits {
  fileprivate func missed(
    subject: String, error: WeightError?, bits: Double?, ratio: Double?
  ) -> [String] {
    var result: [String] = []
    func atMost(_ name: String, _ limit: Double?, _ found: Double?) {
      // Written so that a NaN misses every bound.
      guard let limit, let found, !(found <= limit) else { return }
      result.append("\(subject): \(name) is \(found), the bound is at most \(limit)")
    }
    func atLeast(_ name: String, _ limit: Double?, _ found: Double?) {
      guard let limit, let found, !(found >= limit) else { return }
      result.append("\(subject): \(name) is \(found), the bound is at least \(limit)")
    }
    atMost("relative_error", relativeError, error?.relativeFrobenius)
    atLeast("snr_db", signalToNoise, error?.signalToNoise)
    atMost("max_absolute", maximumAbsolute, error?.maximumAbsolute)
    atLeast("cosine", cosine, error?.cosine)
    atMost("bits_per_weight", bitsPerWeight, bits)
    atLeast("ratio", self.ratio, ratio)
    atMost("output_error", outputError, error?.outputRelative)
    return result
  }

  /// Bounds on the whole model; without its figures there is nothing to hold to them.
  fileprivate func missed(by figures: ModelFigures?) -> [String] {
    var result: [String] = []
    if let limit = perplexityRatio, let found = figures?.perplexityRatio, !(found <= limit) {
      result.append("total: perplexity_ratio is \(found), the bound is at most \(limit)")
    }
    if let limit = divergence, let found = figures?.divergence, !(found <= limit) {
      result.append("total: kl_mean is \(found), the bound is at most \(limit)")
    }
    if let limit = cacheDivergence, let found = figures?.cacheDivergence, !(found <= limit) {
      result.append("total: cache_kl is \(found), the bound is at most \(limit)")
    }
    if let limit = agreement, let found = figures?.agreement, !(found >= limit) {
      result.append("total: top1_agreement is \(found), the bound is at least \(limit)")
    }
    return result
  }
}
