import Tensors

extension ActivationScheme {
  /// Names of attributes: one place for the writer and the reader.
  private enum Name {
    static let format = "activation_format"
    static let granularity = "activation_granularity"
    static let block = "activation_block"
    static let maximum = "activation_maximum"
    static let symmetric = "activation_symmetric"
    static let scale = "activation_scale"
    static let clip = "activation_clip"
  }

  /// The attributes of a weight's group that say how its inputs are rounded.
  var attributes: [String: AttributeValue] {
    var result: [String: AttributeValue] = [
      Name.format: .string(format.rawValue), Name.symmetric: .int(symmetric ? 1 : 0),
      Name.scale: .string(scale.rawValue), Name.clip: .double(Double(clip)),
    ]
    switch granularity {
    case .token: result[Name.granularity] = .string("token")
    case .tensor(let maximum):
      result[Name.granularity] = .string("tensor")
      result[Name.maximum] = .double(Double(maximum ?? 0))
    case .block(let run):
      result[Name.granularity] = .string("block")
      result[Name.block] = .int(run)
    case .tensorBlock(let run, let maximum):
      result[Name.granularity] = .string("tensor_block")
      result[Name.block] = .int(run)
      result[Name.maximum] = .double(Double(maximum ?? 0))
    }
    return result
  }

  /// The scheme that a weight's attributes tell of; nil when its inputs are not rounded.
  static func reading(
    _ attributes: [String: AttributeValue]
  ) throws(WeightsError) -> ActivationScheme? {
    // One of them alone is a damaged file, not a weight without a scheme.
    guard attributes.keys.contains(where: { $0.hasPrefix("activation_") }) else { return nil }
    let format: Format = try word(attributes, Name.format)
    let scale: Scale = try word(attributes, Name.scale)
    guard let symmetric = attributes[Name.symmetric]?.int, (0...1).contains(symmetric) else {
      throw wrong(attributes, Name.symmetric, "0 or 1")
    }
    guard let clip = attributes[Name.clip]?.double else {
      throw wrong(attributes, Name.clip, "a number")
    }
    let granularity: Granularity
    func maximum() throws(WeightsError) -> Float {
      guard let maximum = attributes[Name.maximum]?.double else {
        throw wrong(attributes, Name.maximum, "a number")
      }
      return Float(maximum)
    }
    func run() throws(WeightsError) -> Int {
      guard let run = attributes[Name.block]?.int else {
        throw wrong(attributes, Name.block, "a whole number")
      }
      return run
    }
    switch attributes[Name.granularity]?.string {
    case "token": granularity = .token
    case "tensor": granularity = .tensor(maximum: try maximum())
    case "block": granularity = .block(try run())
    case "tensor_block": granularity = .tensorBlock(try run(), maximum: try maximum())
    default: throw wrong(attributes, Name.granularity, "token, tensor, block or tensor_block")
    }
    return ActivationScheme(
      format: format, granularity: granularity, symmetric: symmetric == 1, scale: scale,
      clip: Float(clip))
  }

  private static func word<Word: RawRepresentable<String> & CaseIterable>(
    _ attributes: [String: AttributeValue], _ name: String
  ) throws(WeightsError) -> Word {
    guard let word = attributes[name]?.string.flatMap(Word.init) else {
      throw wrong(
        attributes, name, Word.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return word
  }

  private static func wrong(
    _ attributes: [String: AttributeValue], _ name: String, _ expected: String
  ) -> WeightsError {
    guard let value = attributes[name] else { return .missingAttribute(part: "", name: name) }
    return .attribute(part: "", name: name, expected: expected, found: value.string ?? "\(value)")
  }

  /// - Throws: `WeightsError.activations` when the choices do not go together.
  public func validate() throws(WeightsError) {
    func refuse(_ reason: String) -> WeightsError { .activations(scheme: name, reason: reason) }
    guard clip > 0, clip <= 1 else {
      throw refuse("clip is \(clip); it is a share of the range, above 0 and up to 1")
    }
    let isInteger = format.integerBits != nil
    guard symmetric || (isInteger && scale == .f32) else {
      throw refuse("only integers with f32 scales have a zero point; leave 'symmetric' on")
    }
    switch granularity {
    case .token: break
    case .block(let run), .tensorBlock(let run, _):
      guard (2...65536).contains(run) else { throw refuse("a run of \(run) inputs: 2 to 65536") }
    case .tensor:
      guard symmetric, scale == .f32 else {
        throw refuse("one range for a whole tensor is symmetric, with an f32 scale")
      }
    }
    if case .tensorBlock = granularity, scale != .e4m3 {
      throw refuse("one number over blocks is for E4M3 scales; give 'scale: e4m3'")
    }
    if let maximum, !(maximum.isFinite && maximum > 0) {
      throw refuse("its range is \(maximum); it must be positive and finite")
    }
    guard scale != .e4m3 || granularity.isBlock else {
      throw refuse("E4M3 scales are for runs of inputs; give 'block' or 'tensor_block'")
    }
  }
}

extension ActivationScheme.Granularity {
  var isBlock: Bool {
    switch self {
    case .block, .tensorBlock: true
    case .token, .tensor: false
    }
  }
}
