import Tensors

/// The statistics of a whole model: one entry per site, and how often each token was seen.
public struct CalibrationStatistics: Sendable {
  /// By site name.
  public var sites: [String: InputStatistics]
  /// How often each token of the vocabulary was embedded.
  public var tokenCounts: [UInt64]
  /// Sequences seen.
  public var sequences: Int
  /// What the rows came from, in words.
  public var provenance: String

  public init(
    sites: [String: InputStatistics] = [:], tokenCounts: [UInt64] = [], sequences: Int = 0,
    provenance: String = ""
  ) {
    self.sites = sites
    self.tokenCounts = tokenCounts
    self.sequences = sequences
    self.provenance = provenance
  }

  /// The statistics of the input that a module reads.
  public func input(of module: String) -> InputStatistics? {
    sites[module] ?? sites.values.first { $0.readers.contains(module) }
  }

  /// The statistics of the input that a tensor multiplies: sites carry modules' names, tensors those
  /// of their parameters.
  public func input(ofTensor name: String) -> InputStatistics? {
    input(of: name.hasSuffix(".weight") ? String(name.dropLast(7)) : name)
  }

  /// The same, made sure to be as wide as the weight.
  ///
  /// - Throws: `ArchitectureError.statisticsOfAnotherModel`.
  public func input(
    ofTensor name: String, columns: Int
  ) throws(ArchitectureError) -> InputStatistics? {
    guard let input = input(ofTensor: name) else { return nil }
    guard input.width == columns else {
      throw .statisticsOfAnotherModel(tensor: name, width: input.width, columns: columns)
    }
    return input
  }

  /// The bytes that the statistics take in memory.
  public var byteCount: Int {
    sites.values.reduce(tokenCounts.count * 8) { $0 + $1.byteCount }
  }

  /// Adds another run's statistics to these, site by site.
  ///
  /// - Throws: `ArchitectureError.statisticsDisagree` when a site's widths or the vocabularies
  ///   differ.
  public mutating func merge(_ other: CalibrationStatistics) throws(ArchitectureError) {
    for name in other.sites.keys.sorted() {
      guard let added = other.sites[name] else { continue }
      if var present = sites[name] {
        try present.merge(added)
        sites[name] = present
      } else {
        sites[name] = added
      }
    }
    if tokenCounts.isEmpty {
      tokenCounts = other.tokenCounts
    } else if !other.tokenCounts.isEmpty {
      guard tokenCounts.count == other.tokenCounts.count else {
        throw .statisticsDisagree(
          site: "token_counts", left: tokenCounts.count, right: other.tokenCounts.count)
      }
      for index in tokenCounts.indices { tokenCounts[index] += other.tokenCounts[index] }
    }
    sequences += other.sequences
    if provenance != other.provenance, !other.provenance.isEmpty {
      provenance = provenance.isEmpty ? other.provenance : provenance + "; " + other.provenance
    }
  }
}
