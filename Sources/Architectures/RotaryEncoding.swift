import JSONText

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Rotary positions: the angle of pair i at position p is p · frequency(i).
public struct RotaryEncoding: Sendable, Hashable {
  /// The base of the frequencies.
  public let theta: Double
  public let scaling: Scaling

  /// How frequencies are stretched beyond the trained length.
  public enum Scaling: Sendable, Hashable {
    case none
    /// All frequencies divided by a factor.
    case linear(factor: Double)
    /// Long wavelengths divided by a factor, short ones kept, a ramp between (Llama 3.1).
    case llama3(
      factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double,
      originalPositions: Double)
  }

  public init(theta: Double, scaling: Scaling = .none) {
    self.theta = theta
    self.scaling = scaling
  }

  /// The angular frequencies of the dimension / 2 pairs.
  public func frequencies(dimension: Int) -> [Double] {
    (0..<dimension / 2).map { pair in
      let frequency = pow(theta, -2 * Double(pair) / Double(dimension))
      switch scaling {
      case .none: return frequency
      case .linear(let factor): return frequency / factor
      case .llama3(let factor, let low, let high, let original):
        let wavelength = 2 * Double.pi / frequency
        if wavelength < original / high { return frequency }
        if wavelength > original / low { return frequency / factor }
        let smooth = (original / wavelength - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
      }
    }
  }

  /// cos and sin of all angles, `positions × dimension / 2` each: f64 angles rounded once.
  public func tables(positions: Int, dimension: Int) -> (cosines: [Float], sines: [Float]) {
    let frequencies = frequencies(dimension: dimension)
    var cosines: [Float] = []
    var sines: [Float] = []
    cosines.reserveCapacity(positions * frequencies.count)
    sines.reserveCapacity(positions * frequencies.count)
    for position in 0..<positions {
      for frequency in frequencies {
        cosines.append(Float(cos(Double(position) * frequency)))
        sines.append(Float(sin(Double(position) * frequency)))
      }
    }
    return (cosines, sines)
  }
}

extension RotaryEncoding {
  /// Reads both spellings: `rope_parameters` (new), or `rope_theta` with `rope_scaling` (old).
  init(_ reader: ConfigurationReader, maximumPositions: Int) throws(ArchitectureError) {
    let parameters = reader.object["rope_parameters"]?.object
    let old = reader.object["rope_scaling"]?.object
    var theta = try reader.number("rope_theta", default: 10_000)
    if let value = parameters?["rope_theta"] {
      theta = try ConfigurationReader.positive(value, key: "rope_parameters.rope_theta")
    }
    let section = parameters ?? old ?? JSONObject()
    let sectionName = parameters == nil ? "rope_scaling" : "rope_parameters"
    if section.members.contains(where: { $0.value.object != nil }) {
      throw .unsupported(
        key: sectionName, found: "one set per layer type", supported: "one set for all layers")
    }
    let partial = section["partial_rotary_factor"] ?? reader.object["partial_rotary_factor"]
    if let partial, !partial.isNull, partial.double != 1 {
      throw .unsupported(key: "partial_rotary_factor", found: partial.text(), supported: "1")
    }
    func factor(_ key: String) throws(ArchitectureError) -> Double {
      guard let value = section[key] else {
        throw .missingKey(key: "\(sectionName).\(key)", family: reader.family)
      }
      return try ConfigurationReader.positive(value, key: "\(sectionName).\(key)")
    }
    let kind = (section["rope_type"] ?? section["type"])?.string ?? "default"
    let scaling: Scaling
    switch kind {
    case "default": scaling = .none
    case "linear": scaling = .linear(factor: try factor("factor"))
    case "llama3":
      let original =
        section["original_max_position_embeddings"] == nil
        ? Double(maximumPositions) : try factor("original_max_position_embeddings")
      scaling = .llama3(
        factor: try factor("factor"), lowFrequencyFactor: try factor("low_freq_factor"),
        highFrequencyFactor: try factor("high_freq_factor"), originalPositions: original)
    default:
      throw .unsupported(
        key: "\(sectionName).rope_type", found: "'\(kind)'", supported: "default, linear, llama3")
    }
    self.init(theta: theta, scaling: scaling)
  }
}
