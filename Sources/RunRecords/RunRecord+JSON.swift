import JSONText

extension RunRecord {
  /// The record as JSON; absent values are left out, names are in snake case.
  public var json: JSONValue { json(missedBounds: []) }

  /// The record with the bounds that it missed, a sentence each.
  public func json(missedBounds: [String]) -> JSONValue {
    var object = JSONObject()
    object["command"] = JSONValue(command)
    object["tool_version"] = JSONValue(toolVersion)
    object["model"] = JSONValue(model)
    object["model_format"] = modelFormat.map { JSONValue($0) }
    object["output"] = output.map { JSONValue($0) }
    object["recipe"] = recipeName.map { JSONValue($0) }
    object["recipe_sha256"] = recipeHash.map { JSONValue($0) }
    object["fingerprint"] = fingerprint.map { JSONValue($0) }
    object["workers"] = workers.map { JSONValue($0) }
    object["memory_limit_bytes"] = memoryLimit.map { JSONValue($0) }
    object["peak_resident_bytes"] = peakResidentBytes.map { JSONValue($0) }
    object["seconds"] = seconds.map { JSONValue($0) }
    object["warnings"] = .array(warnings.map { JSONValue($0) })
    if !edits.isEmpty { object["edits"] = .array(edits.map { JSONValue($0) }) }
    if !missedBounds.isEmpty {
      object["missed_bounds"] = .array(missedBounds.map { JSONValue($0) })
    }
    object["totals"] = totals.json
    object["kv_cache"] = keyValueCache?.json
    object["model_figures"] = modelFigures?.json
    if let forecast {
      object["forecast"] = [
        "peak_bytes": JSONValue(forecast.peakBytes), "disk_bytes": JSONValue(forecast.diskBytes),
        "seconds": JSONValue(forecast.seconds),
      ]
    }
    object["tensors"] = .array(tensors.map(\.json))
    return .object(object)
  }
}

extension Totals {
  /// The sums as JSON.
  public var json: JSONValue {
    var object = JSONObject()
    object["elements"] = JSONValue(elements)
    object["source_bytes"] = JSONValue(sourceBytes)
    object["stored_bytes"] = JSONValue(storedBytes)
    object["file_bytes"] = fileBytes.map { JSONValue($0) }
    object["compressed_elements"] = JSONValue(compressedElements)
    object["compressed_source_bytes"] = JSONValue(compressedSourceBytes)
    object["compressed_stored_bytes"] = JSONValue(compressedStoredBytes)
    object["compressed_bits_per_weight"] = JSONValue(compressedBitsPerWeight)
    object["file_bits_per_weight"] = JSONValue(fileBitsPerWeight)
    object["ratio"] = JSONValue(ratio)
    object["error"] = error?.json
    return .object(object)
  }
}

extension TensorRecord {
  /// One tensor's line as JSON.
  public var json: JSONValue {
    var object = JSONObject()
    object["index"] = JSONValue(index)
    object["name"] = JSONValue(name)
    object["shape"] = .array(shape.map { JSONValue($0) })
    object["source_type"] = JSONValue(sourceType)
    object["stored_type"] = JSONValue(storedType)
    object["compressed"] = JSONValue(compressed)
    object["reason"] = JSONValue(reason)
    object["elements"] = JSONValue(elements)
    object["source_bytes"] = JSONValue(sourceBytes)
    object["stored_bytes"] = JSONValue(storedBytes)
    object["bits_per_weight"] = JSONValue(bitsPerWeight)
    object["error"] = error?.json
    object["seconds"] = JSONValue(seconds)
    if !notes.isEmpty { object["notes"] = .array(notes.map { JSONValue($0) }) }
    return .object(object)
  }
}

extension WeightError {
  /// The figures as JSON; what is infinite is null, as JSON has no infinity.
  public var json: JSONValue {
    var object = JSONObject()
    object["relative_frobenius"] = JSONValue(relativeFrobenius)
    object["signal_to_noise_db"] = JSONValue(signalToNoise)
    object["maximum_absolute"] = JSONValue(maximumAbsolute)
    object["cosine"] = JSONValue(cosine)
    object["output_relative"] = outputRelative.map { JSONValue($0) }
    return .object(object)
  }
}
