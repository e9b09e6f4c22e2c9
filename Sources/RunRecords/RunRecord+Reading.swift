import JSONText

extension TensorRecord {
  /// The record that `json` wrote; nil when something is missing.
  public init?(json: JSONValue) {
    guard let index = json["index"]?.int, let name = json["name"]?.string,
      let shape = json["shape"]?.array, let sourceType = json["source_type"]?.string,
      let storedType = json["stored_type"]?.string, let reason = json["reason"]?.string,
      let compressed = json["compressed"]?.bool, let elements = json["elements"]?.int,
      let sourceBytes = json["source_bytes"]?.int, let storedBytes = json["stored_bytes"]?.int
    else { return nil }
    self.init(
      index: index, name: name, shape: shape.compactMap(\.int), sourceType: sourceType,
      storedType: storedType, reason: reason, compressed: compressed, elements: elements,
      sourceBytes: sourceBytes, storedBytes: storedBytes,
      error: json["error"].flatMap { WeightError(json: $0) },
      seconds: json["seconds"]?.double ?? 0,
      notes: json["notes"]?.array?.compactMap(\.string) ?? [])
  }
}

extension WeightError {
  /// The figures that `json` wrote; JSON has no infinity, so that null stands for one: the relative
  /// error's is infinite when the original is all zero, and the ratio's sign follows from it.
  public init?(json: JSONValue) {
    guard let value = json["relative_frobenius"],
      let relative = value.isNull ? .infinity : value.double,
      let maximum = json["maximum_absolute"]?.double, let cosine = json["cosine"]?.double
    else { return nil }
    self.init(
      relativeFrobenius: relative,
      signalToNoise: json["signal_to_noise_db"]?.double
        ?? (relative.isInfinite ? -.infinity : .infinity),
      maximumAbsolute: maximum, cosine: cosine)
  }
}
