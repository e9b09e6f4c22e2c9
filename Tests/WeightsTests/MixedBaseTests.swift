import Tensors
import Testing

@testable import Weights

@Suite("Weights: groups of inputs in several formats")
struct MixedBaseTests {
  static func scheme(
    _ bits: Int, group: Int = 16, share: Double = 0.25, symmetric: Bool = false
  ) throws -> MixedScheme {
    try MixedScheme(
      IntegerScheme(bits: bits, symmetric: symmetric, granularity: .group(group), clip: .none),
      share: share)
  }

  static let matrix = Sample.matrix(5, 128, seed: 9)
  static let salience: [Double] = [3, 1, 8, 2, 9, 4, 5, 0]

  static func weight(_ scheme: MixedScheme) throws -> CompressedWeight {
    CompressedWeight(
      view: WeightView(rows: 5, columns: 128),
      base: .mixed(try MixedBase.roundToNearest(matrix, scheme: scheme, salience: salience)))
  }

  @Test("bits follow salience, bytes are those forecast and no more than of equal bits")
  func counts() throws {
    for bits in 2...7 {
      for symmetric in [false, true] {
        let scheme = try Self.scheme(bits, symmetric: symmetric)
        let (low, high) = scheme.counts(columns: 128)
        #expect([low, high] == (bits == 2 ? [5, 2] : [2, 2]), "\(bits)")
        let weight = try Self.weight(scheme)
        try weight.validate()
        #expect(weight.storedBytes == scheme.storedBytes(rows: 5, columns: 128))
        let uniform = try IntegerBase.roundToNearest(Self.matrix, scheme: scheme.middle)
        // A byte a group says where it belongs; zero points pad to bytes in each class.
        #expect(
          weight.storedBytes <= CompressedWeight(view: weight.view, base: .integer(uniform))
            .storedBytes + 8 + 10)
        guard case .mixed(let base) = weight.base else { return }
        let members = base.members.bytes.array(of: UInt8.self)
        #expect(members[2] == members[4] && members[2] == members.max())
        #expect(members[7] == 0 && members[1] == 0)
      }
    }
    // Two groups of 2 bits cannot pay for a third bit.
    #expect(try Self.scheme(2).counts(columns: 32).high == 0)
    #expect(throws: WeightsError.bitsOutOfRange(9)) { try Self.scheme(8) }
    #expect(throws: WeightsError.mixedNeedsGroups) {
      try MixedScheme(IntegerScheme(bits: 3, granularity: .channel), share: 0.25)
    }
  }

  @Test("each group decodes to what its own format gives")
  func decode() throws {
    let scheme = try Self.scheme(3)
    let decoded = try Self.weight(scheme).decoded()
    for (group, bits) in [(4, 4), (2, 4), (0, 3), (7, 2), (1, 2)] {
      let part = Matrix(
        rows: 5, columns: 16,
        values: (0..<5).flatMap { row in (0..<16).map { Self.matrix[row, group * 16 + $0] } })
      let own = try IntegerBase.roundToNearest(
        part,
        scheme: IntegerScheme(
          bits: bits, symmetric: false, granularity: .group(16), clip: .none)
      ).decoded()
      for row in 0..<5 {
        for column in 0..<16 { #expect(decoded[row, group * 16 + column] == own[row, column]) }
      }
    }
    let some = try Self.weight(scheme).decoded(rows: 2..<4)
    for column in 0..<128 { #expect(some[1, column] == decoded[3, column]) }
  }

  @Test("sweeps' grids hold what the base decodes to, and give its codes back")
  func grids() throws {
    for bits in [2, 3] {
      guard case .mixed(let base) = try Self.weight(Self.scheme(bits)).base else { return }
      let grids = ColumnGrids(base)
      let decoded = Base.mixed(base).decoded()
      var codes: [UInt8] = []
      for row in 0..<5 {
        for column in 0..<128 {
          let code = grids.code(of: decoded[row, column], row: row, column: column)
          #expect(grids.value(of: code, row: row, column: column) == decoded[row, column])
          codes.append(code)
        }
      }
      #expect(grids.base(codes: codes).decoded() == decoded)
      #expect(Base.mixed(base.with(scales: base.scaleValues())).decoded() == decoded)
    }
  }

  @Test("the product is that of the decoded weight, for few rows and many")
  func product() throws {
    for count in [1, 20] {
      let inputs = Sample.matrix(count, 128, seed: 4)
      let weight = try Self.weight(Self.scheme(2))
      let found = weight.multiplied(by: inputs)
      let wanted = weight.multipliedByReference(inputs)
      for (a, b) in zip(found.values, wanted.values) { #expect(abs(a - b) < 1e-3) }
    }
  }

  @Test("it comes back from its parts, sharing them")
  func roundTrip() throws {
    let weight = try Self.weight(Self.scheme(2))
    let encoded = weight.encodedParts()
    #expect(encoded.attributes["weight_version"] == .int(2))
    let back = try CompressedWeight(decoding: encoded)
    for (old, new) in zip(weight.payloads, back.payloads) { #expect(old.bytes === new.bytes) }
    #expect(back.decoded() == weight.decoded())
  }

  /// The error of a weight whose parts were changed.
  static func error(_ change: (inout EncodedWeight) -> Void) throws -> WeightsError? {
    var encoded = try weight(scheme(3)).encodedParts()
    change(&encoded)
    do {
      _ = try CompressedWeight(decoding: encoded)
      return nil
    } catch { return error }
  }

  @Test("hostile parts are named")
  func hostile() throws {
    #expect(
      try Self.error(TableFileTests.setByte("base/members", 1, 7))
        == .classUnknown(part: "base/members", index: 1, number: 7, count: 3))
    // A group more in one class than it has columns.
    #expect(try Self.error(TableFileTests.setByte("base/members", 1, 2)) != nil)
    for value: AttributeValue in [.int(0), .int(-16), .int(7), .int(32), .string("16")] {
      #expect(try Self.error(TableFileTests.setAttribute("group", value)) != nil, "\(value)")
    }
    for (name, value) in [
      ("rows", AttributeValue.int(4)), ("columns", .int(64)), ("columns", .int(-1)),
    ] {
      #expect(try Self.error(TableFileTests.setAttribute(name, value)) != nil, "\(name)")
    }
    for path in ["base/1/codes", "base/2/scales", "base/0/zeros"] {
      #expect(try Self.error { $0.parts.removeAll { $0.path == path } } != nil, "\(path)")
    }
    // A class of plain values, one too many, and one inside another.
    let values = Tensor(dtype: .f32, shape: [5, 16], array: [Float](repeating: 0, count: 80))
    for path in ["base/3/values", "base/5/values", "base/values"] {
      #expect(
        try Self.error { $0.parts.append(.init(path: path, tensor: values)) } != nil, "\(path)")
    }
    #expect(
      try Self.error { encoded in
        encoded.parts = encoded.parts.map {
          .init(
            path: $0.path.replacing("base/", with: "base/0/"), tensor: $0.tensor,
            attributes: $0.attributes)
        }
      } != nil)
  }
}
