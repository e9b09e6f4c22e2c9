import JSONText

/// What `inspect` shows of a checkpoint.
public struct CheckpointListing: Sendable, Hashable {
  public var path: String
  public var format: String
  public var tensors: [Item]
  /// String metadata of the container, by key.
  public var metadata: [String: String]
  /// Objects of the file that are no tensors, and why.
  public var skipped: [Skipped]
  /// Files that belong to the model, by name.
  public var companions: [String]

  public init(
    path: String, format: String, tensors: [Item], metadata: [String: String], skipped: [Skipped],
    companions: [String]
  ) {
    self.path = path
    self.format = format
    self.tensors = tensors
    self.metadata = metadata
    self.skipped = skipped
    self.companions = companions
  }

  /// An object that was passed over.
  public struct Skipped: Sendable, Hashable {
    public var name: String
    public var reason: String
    public init(name: String, reason: String) {
      self.name = name
      self.reason = reason
    }
  }

  /// One tensor.
  public struct Item: Sendable, Hashable {
    public var name: String
    public var dtype: String
    public var shape: [Int]
    public var bytes: Int
    public var storage: String
    public var sharesStorageWith: String?
    public var statistics: Statistics?

    public init(
      name: String, dtype: String, shape: [Int], bytes: Int, storage: String,
      sharesStorageWith: String?, statistics: Statistics?
    ) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
      self.bytes = bytes
      self.storage = storage
      self.sharesStorageWith = sharesStorageWith
      self.statistics = statistics
    }
  }

  /// What the values of a tensor are like.
  public struct Statistics: Sendable, Hashable {
    public var minimum: Double
    public var maximum: Double
    public var mean: Double
    public var standardDeviation: Double
    /// The share of exact zeros.
    public var zeroFraction: Double
    public var nonFiniteCount: Int

    public init(
      minimum: Double, maximum: Double, mean: Double, standardDeviation: Double,
      zeroFraction: Double, nonFiniteCount: Int
    ) {
      self.minimum = minimum
      self.maximum = maximum
      self.mean = mean
      self.standardDeviation = standardDeviation
      self.zeroFraction = zeroFraction
      self.nonFiniteCount = nonFiniteCount
    }
  }

  /// The listing as JSON.
  public var json: JSONValue {
    var object = JSONObject()
    object["path"] = JSONValue(path)
    object["format"] = JSONValue(format)
    object["tensor_count"] = JSONValue(tensors.count)
    object["bytes"] = JSONValue(tensors.reduce(0) { $0 + $1.bytes })
    var strings = JSONObject()
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { strings[key] = JSONValue(value) }
    object["metadata"] = .object(strings)
    object["companions"] = .array(companions.map { JSONValue($0) })
    object["skipped"] = .array(
      skipped.map { ["name": JSONValue($0.name), "reason": JSONValue($0.reason)] })
    object["tensors"] = .array(tensors.map(\.json))
    return .object(object)
  }
}

extension CheckpointListing.Item {
  /// One tensor as JSON.
  public var json: JSONValue {
    var object = JSONObject()
    object["name"] = JSONValue(name)
    object["dtype"] = JSONValue(dtype)
    object["shape"] = .array(shape.map { JSONValue($0) })
    object["bytes"] = JSONValue(bytes)
    object["storage"] = JSONValue(storage)
    object["shares_storage_with"] = sharesStorageWith.map { JSONValue($0) }
    if let statistics {
      object["statistics"] = [
        "minimum": JSONValue(statistics.minimum), "maximum": JSONValue(statistics.maximum),
        "mean": JSONValue(statistics.mean),
        "standard_deviation": JSONValue(statistics.standardDeviation),
        "zero_fraction": JSONValue(statistics.zeroFraction),
        "non_finite_count": JSONValue(statistics.nonFiniteCount),
      ]
    }
    return .object(object)
  }
}
