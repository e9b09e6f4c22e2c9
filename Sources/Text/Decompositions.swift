/// Unicode's decomposition and composition data, unpacked from the generated tables.
///
/// Own tables rather than Foundation's: those change with the system, and token ids must not.
enum Decompositions {
  /// Full canonical decompositions by code point; Hangul syllables are computed instead.
  static let canonical: [UInt32: [UInt32]] = expanded(unpacked(canonicalText))

  /// Full compatibility decompositions by code point, canonical ones included.
  static let compatibility: [UInt32: [UInt32]] = expanded(
    unpacked(canonicalText).merging(unpacked(compatibilityText)) { first, _ in first })

  /// Primary composites by their pair, first code point in the upper half of the key.
  static let composites: [UInt64: UInt32] = {
    var result: [UInt64: UInt32] = [:]
    for (code, mapping) in unpacked(canonicalText) where mapping.count == 2 {
      guard let scalar = Unicode.Scalar(code),
        !scalar.properties.isFullCompositionExclusion
      else { continue }
      result[UInt64(mapping[0]) << 32 | UInt64(mapping[1])] = code
    }
    return result
  }()

  /// The canonical combining class of a code point.
  @inline(__always)
  static func combiningClass(_ code: UInt32) -> UInt8 {
    if code < 0x300 { return 0 }
    return code < 0x10000 ? basicClasses[Int(code)] : computedClass(code)
  }

  private static let basicClasses: [UInt8] = (0..<0x10000).map { computedClass($0) }

  /// Marks younger than Unicode 9 do not move in the `tokenizers` package: its table is that old.
  private static func computedClass(_ code: UInt32) -> UInt8 {
    guard let properties = Unicode.Scalar(code)?.properties,
      properties.age.map({ $0.major <= 9 }) ?? false
    else { return 0 }
    return properties.canonicalCombiningClass.rawValue
  }

  /// Reads the format that fixtures/make_unicode_tables.py describes.
  private static func unpacked(_ text: String) -> [UInt32: [UInt32]] {
    var result: [UInt32: [UInt32]] = [:]
    var code: UInt32 = 0
    for entry in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      let halves = entry.split(separator: ":")
      let head = halves[0].split(separator: "*").map { UInt32($0, radix: 36) ?? 0 }
      let mapping = halves[1].split(separator: ".").map { UInt32($0, radix: 36) ?? 0 }
      code += head[0]
      for step in 0..<(head.count > 1 ? head[1] : 1) {
        result[code + step] = step == 0 ? mapping : [mapping[0] + step]
      }
    }
    return result
  }

  private static func expanded(_ raw: [UInt32: [UInt32]]) -> [UInt32: [UInt32]] {
    func full(_ code: UInt32) -> [UInt32] { raw[code].map { $0.flatMap(full) } ?? [code] }
    return raw.mapValues { $0.flatMap(full) }
  }
}
