import Tensors
import Testing

@testable import Weights

@Suite("Weights: table formats in files")
struct TableFileTests {
  static func weight(_ grid: TableGrid, columns: Int = 48) throws -> CompressedWeight {
    let matrix = Sample.matrix(3, columns, seed: 21)
    return CompressedWeight(
      view: WeightView(rows: 3, columns: columns),
      base: .table(try TableBase.roundToNearest(matrix, scheme: TableScheme(grid, clip: .none))))
  }

  @Test("every grid comes back, sharing its payloads, as layout 2")
  func roundTrip() throws {
    for grid in try FormatSample.grids() {
      let weight = try Self.weight(grid)
      let encoded = weight.encodedParts()
      #expect(encoded.attributes["weight_version"] == .int(2))
      let back = try CompressedWeight(decoding: encoded)
      #expect(back.payloads.count == weight.payloads.count)
      for (old, new) in zip(weight.payloads, back.payloads) { #expect(old.bytes === new.bytes) }
      #expect(back.decoded() == weight.decoded(), "\(grid)")
      // What older programs can read keeps the older number.
      let dense = CompressedWeight.dense(Sample.matrix(2, 4)).encodedParts()
      #expect(dense.attributes["weight_version"] == .int(1))
    }
  }

  static func grid(
    _ format: NumberFormat, _ scales: ScaleFormat = .f16, packing: CodePacking = .stream
  ) throws -> TableGrid {
    try TableGrid(
      format: format, granularity: .group(16), scaleFormat: scales, packing: packing)
  }

  /// The error of a weight whose parts were changed.
  static func error(
    _ grid: TableGrid, columns: Int = 48, _ change: (inout EncodedWeight) -> Void
  ) throws -> WeightsError? {
    var encoded = try weight(grid, columns: columns).encodedParts()
    change(&encoded)
    do {
      _ = try CompressedWeight(decoding: encoded)
      return nil
    } catch { return error }
  }

  static func setAttribute(_ name: String, _ value: AttributeValue?)
    -> (inout EncodedWeight) -> Void
  {
    { encoded in
      let part = encoded.parts[0]
      var attributes = part.attributes
      attributes[name] = value
      encoded.parts[0] = .init(path: part.path, tensor: part.tensor, attributes: attributes)
    }
  }

  static func setByte(_ path: String, _ index: Int, _ byte: UInt8) -> (inout EncodedWeight) -> Void
  {
    { encoded in
      for (number, part) in encoded.parts.enumerated() where part.path == path {
        var bytes = part.tensor.bytes.array(of: UInt8.self)
        bytes[index] = byte
        guard
          let tensor = try? Tensor(
            dtype: part.tensor.dtype, shape: part.tensor.shape, bytes: Bytes(bytes))
        else { continue }
        encoded.parts[number] = .init(path: path, tensor: tensor, attributes: part.attributes)
      }
    }
  }

  @Test("hostile attributes are named")
  func attributes() throws {
    let grid = try Self.grid(.normalFloat4)
    for (name, value) in [
      ("format", AttributeValue.string("nf5")), ("format", .int(4)), ("packing", .string("zip")),
      ("scale_format", .string("f64")), ("scale_format", nil), ("packing", nil),
      ("granularity", .string("head")), ("group", .int(0)), ("columns", .int(-1)),
      ("columns", nil), ("scale_offset", .double(1)),
    ] {
      let found = try Self.error(grid, Self.setAttribute(name, value))
      switch found {
      case .attribute(_, let attribute, _, _), .missingAttribute(_, let attribute):
        #expect(attribute == name)
      default: Issue.record("\(name): \(String(describing: found))")
      }
    }
    #expect(
      try Self.error(grid, Self.setAttribute("packing", .string("base3_rows")))
        == .packingUnsupported(packing: "base3_rows", format: "nf4"))
    #expect(try Self.error(grid, Self.setAttribute("group", .int(7))) != nil)
    #expect(try Self.error(grid, Self.setAttribute("scale_format", .string("e8m0"))) != nil)
    for exponent: AttributeValue in [.double(.nan), .double(7), .double(0)] {
      let found = try Self.error(
        Self.grid(.power(bits: 4, exponent: 1)), Self.setAttribute("exponent", exponent))
      guard case .attribute(_, "format", _, _) = found else {
        Issue.record("\(exponent)")
        continue
      }
    }
    for offset: AttributeValue in [.double(.nan), .double(.infinity), .double(-9)] {
      let double = try Self.grid(.normalFloat4, .dynamic8)
      #expect(try Self.error(double, Self.setAttribute("scale_offset", offset)) != nil)
    }
  }

  @Test("codes that stand for nothing, dirty padding and bad scales are named")
  func payloads() throws {
    #expect(
      try Self.error(Self.grid(.minifloat(.e4m3), .f32), Self.setByte("base/codes", 50, 0x7F))
        == .codeUnknown(part: "base/codes", row: 1, column: 2, code: 0x7F, format: "e4m3"))
    #expect(
      try Self.error(Self.grid(.minifloat(.e5m2), .f32), Self.setByte("base/codes", 0, 0xFC))
        == .codeUnknown(part: "base/codes", row: 0, column: 0, code: 0xFC, format: "e5m2"))
    #expect(
      try Self.error(Self.grid(.ternary), Self.setByte("base/codes", 0, 0b1100))
        == .codeUnknown(part: "base/codes", row: 0, column: 1, code: 3, format: "ternary"))
    let trits = try Self.grid(.ternary, packing: .trits)
    #expect(
      try Self.error(trits, Self.setByte("base/codes", 2, 243))
        == .codeUnknown(part: "base/codes", row: 0, column: 10, code: 243, format: "ternary"))
    // 48 = 9·5 + 3: the last byte holds three digits.
    #expect(
      try Self.error(trits, Self.setByte("base/codes", 9, 27))
        == .codeUnknown(part: "base/codes", row: 0, column: 45, code: 27, format: "ternary"))
    let odd = try TableGrid(format: .normalFloat4, granularity: .channel)
    #expect(
      try Self.error(odd, columns: 15, Self.setByte("base/codes", 7, 0xF1))
        == .paddingNotZero(part: "base/codes", row: 0))
    let split = try TableGrid(
      format: .minifloat(.e3m2), granularity: .channel, packing: .split)
    for index in [3, 11] {
      #expect(
        try Self.error(split, columns: 15, Self.setByte("base/codes", index, 0xFF))
          == .paddingNotZero(part: "base/codes", row: 0))
    }
    for (scales, byte): (ScaleFormat, UInt8) in [
      (.e8m0, 255), (.e8m0, 254), (.e4m3, 0), (.e4m3, 0x7F), (.e4m3, 0x80), (.ratio, 101),
    ] {
      let found = try Self.error(
        Self.grid(.minifloat(.e2m1), scales), Self.setByte("base/scales", 1, byte))
      guard case .scaleNotUsable("base/scales", 1, _) = found else {
        Issue.record("\(scales) \(byte): \(String(describing: found))")
        continue
      }
    }
    let block = try Self.grid(.minifloat(.e2m1), .e4m3)
    #expect(try Self.error(block) { $0.parts.removeLast() } == .missingPart("base/factors"))
    #expect(try Self.error(block, Self.setByte("base/factors", 3, 0xFF)) != nil)
    #expect(try Self.error(block) { $0.parts.remove(at: 1) } == .missingPart("base/scales"))
    #expect(
      try Self.error(Self.grid(.normalFloat4)) {
        $0.parts.append(
          .init(path: "base/factors", tensor: Tensor(dtype: .f32, shape: [1], array: [Float(1)])))
      } == .unexpectedPart("base/factors"))
  }
}
