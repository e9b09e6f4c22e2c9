import Tensors
import Testing

@testable import Weights

@Suite("Weights: sums of ±1 planes")
struct PlaneBaseTests {
  static let matrix = Sample.matrix(5, 96, seed: 12)

  static func weight(_ planes: Int, group: Int = 32) throws -> CompressedWeight {
    let scheme = try PlaneScheme(planes: planes, granularity: .group(group))
    return CompressedWeight(
      view: WeightView(rows: 5, columns: 96),
      base: .planes(try PlaneBase.fitted(matrix, scheme: scheme)))
  }

  @Test("every code of every number of planes: packed, read, decoded", arguments: 1...4)
  func codes(planes: Int) throws {
    let scheme = try PlaneScheme(planes: planes, granularity: .channel)
    let scales: [Float] = [4, 2, 1.5, 0.25]
    // Two rows, so that a row's padding lies between.
    let width = (1 << planes) + 3
    let codes = (0..<2 * width).map { UInt8(($0 * 5) % (1 << planes)) }
    let bytes = PackedCodes.bytes(count: width, bits: planes)
    var base = PlaneBase(
      scheme: scheme, rows: 2, columns: width,
      codes: Tensor(
        dtype: .u8, shape: [2, bytes], array: [UInt8](repeating: 0, count: 2 * bytes)),
      scales: .encoded(
        Array(scales[..<planes]) + Array(scales[..<planes].map { $0 / 2 }), as: .f16,
        shape: [2, planes]))
    base = base.with(codes: codes)
    try Base.planes(base).validate(part: "base", rows: 2, columns: width)
    let decoded = Base.planes(base).decoded()
    let grids = ColumnGrids(base)
    for row in 0..<2 {
      for column in 0..<width {
        let code = codes[row * width + column]
        #expect(base.unpackedCodes(row: row)[column] == code)
        var expected: Float = 0
        for plane in 0..<planes {
          let scale = scales[plane] / Float(row + 1)
          expected += code & (1 << UInt8(plane)) != 0 ? scale : -scale
        }
        #expect(decoded[row, column] == expected)
        #expect(grids.value(of: code, row: row, column: column) == expected)
        #expect(grids.code(of: expected, row: row, column: column) == code)
      }
    }
    // The nearest of all levels, by trying them.
    for value in stride(from: Float(-9), through: 9, by: 0.37) {
      let found = grids.value(
        of: grids.code(of: value, row: 0, column: 0), row: 0, column: 0)
      let nearest = PlaneBase.levels(scales[..<planes]).map { abs($0 - value) }.min() ?? .nan
      #expect(abs(found - value) == nearest)
    }
  }

  @Test("normal numbers lose what is known of the greedy start and of the fit in turn")
  func anchors() {
    let values = Sample.matrix(1, 16384, seed: 3).values
    let energy = values.reduce(0.0) { $0 + Double($1) * Double($1) }
    let greedy = [0.36346, 0.13063, 0.05852, 0.03298]
    let fitted = [0.36346, 0.11810, 0.03726, 0.01157]
    for planes in 1...4 {
      let start = PlaneFit(values, planes: planes, rounds: 0).error(values) / energy
      let end = PlaneFit(values, planes: planes, rounds: 60).error(values) / energy
      #expect(abs(start - greedy[planes - 1]) < 0.06 * greedy[planes - 1], "\(planes)")
      #expect(abs(end - fitted[planes - 1]) < 0.06 * fitted[planes - 1], "\(planes): \(end)")
      if planes > 1 { #expect(end < 0.95 * start) }
    }
  }

  @Test("bytes are those forecast; groups of zeros and constants are exact")
  func edges() throws {
    for planes in 1...4 {
      for group in [32, 96] {
        let weight = try Self.weight(planes, group: group)
        try weight.validate()
        guard case .planes(let base) = weight.base else { return }
        #expect(weight.storedBytes == base.scheme.storedBytes(rows: 5, columns: 96))
      }
      let scheme = try PlaneScheme(planes: planes, granularity: .group(4))
      let plain = Matrix<Float>(rows: 1, columns: 8, values: [0, 0, 0, 0, 3, -3, 3, 3])
      let base = Base.planes(try PlaneBase.fitted(plain, scheme: scheme))
      try base.validate(part: "base", rows: 1, columns: 8)
      #expect(base.decoded() == plain)
    }
    #expect(throws: WeightsError.planesOutOfRange(5)) { try PlaneScheme(planes: 5) }
    #expect(throws: WeightsError.planesNeedGroups) {
      try PlaneScheme(planes: 2, granularity: .tensor)
    }
    #expect(throws: WeightsError.groupDoesNotDivide(group: 64, columns: 96)) {
      try Self.weight(2, group: 64)
    }
  }

  @Test("masked entries do not count; workers change nothing")
  func masks() throws {
    let scheme = try PlaneScheme(planes: 2, granularity: .group(32))
    let mask = Mask(rows: 5, columns: 96) { ($0 + $1) % 2 == 0 }
    var loud = Self.matrix
    for row in 0..<5 {
      for column in 0..<96 where !mask.isKept(row, column) { loud[row, column] = 50 }
    }
    let one = try PlaneBase.fitted(Self.matrix, scheme: scheme, mask: mask)
    let other = try PlaneBase.fitted(loud, scheme: scheme, mask: mask)
    #expect(one.scales.floats() == other.scales.floats())
    let tall = Sample.matrix(70, 96, seed: 2)
    let alone = try PlaneBase.fitted(tall, scheme: scheme)
    let shared = try PlaneBase.fitted(tall, scheme: scheme, pool: WorkerPool(workers: 2))
    for (a, b) in zip(alone.payloads, shared.payloads) {
      #expect(a.bytes.array(of: UInt8.self) == b.bytes.array(of: UInt8.self))
    }
  }

  @Test("it comes back from its parts, sharing them; its product is the decoded weight's")
  func roundTrip() throws {
    let weight = try Self.weight(3)
    let encoded = weight.encodedParts()
    #expect(encoded.attributes["weight_version"] == .int(2))
    #expect(encoded.parts.map(\.path) == ["base/planes", "base/scales"])
    let back = try CompressedWeight(decoding: encoded)
    for (old, new) in zip(weight.payloads, back.payloads) { #expect(old.bytes === new.bytes) }
    #expect(back.decoded() == weight.decoded())
    for count in [1, 20] {
      let inputs = Sample.matrix(count, 96, seed: 4)
      let wanted = weight.multipliedByReference(inputs)
      for (a, b) in zip(weight.multiplied(by: inputs).values, wanted.values) {
        #expect(abs(a - b) < 1e-3)
      }
    }
  }

  @Test("hostile parts are refused")
  func hostile() throws {
    func error(_ change: (inout EncodedWeight) -> Void) throws -> WeightsError? {
      var encoded = try Self.weight(3).encodedParts()
      change(&encoded)
      do {
        _ = try CompressedWeight(decoding: encoded)
        return nil
      } catch { return error }
    }
    for (name, value) in [
      ("planes", AttributeValue.int(0)), ("planes", .int(5)), ("planes", .int(2)),
      ("group", .int(0)), ("group", .int(7)), ("columns", .int(64)), ("columns", .int(-1)),
      ("granularity", .string("tensor")), ("packing", .string("lsb_first_stream")),
    ] {
      #expect(try error(TableFileTests.setAttribute(name, value)) != nil, "\(name) \(value)")
    }
    #expect(try error { $0.parts.removeLast() } == .missingPart("base/scales"))
    // The sign bit of an f16 scale, and its infinity.
    #expect(try error(TableFileTests.setByte("base/scales", 1, 0xBC)) != nil)
    #expect(try error(TableFileTests.setByte("base/scales", 1, 0x7C)) != nil)
  }
}
