import Tensors
import Testing

@testable import Weights

@Suite("Weights: layout as named tensors")
struct EncodedWeightTests {
  @Test("every combination of parts comes back, sharing its payloads")
  func roundTrip() throws {
    for weight in try WeightFixture.all() {
      let back = try CompressedWeight(decoding: weight.encodedParts())
      #expect(back.view == weight.view)
      #expect(back.payloads.count == weight.payloads.count)
      for (old, new) in zip(weight.payloads, back.payloads) { #expect(old.bytes === new.bytes) }
      #expect(back.decoded() == weight.decoded())
    }
  }

  @Test("the view comes back")
  func views() throws {
    let view = WeightView(sourceShape: [3, 3, 8, 48], layout: .outputsLast)
    let weight = CompressedWeight.dense(Sample.matrix(48, 72), view: view)
    #expect(try CompressedWeight(decoding: weight.encodedParts()).view == view)
  }

  /// A weight with all parts, as named tensors.
  static func full() throws -> EncodedWeight {
    CompressedWeight(
      view: WeightView(rows: 48, columns: 96),
      base: try WeightFixture.integer(3, symmetric: false), mask: WeightFixture.mask,
      outliers: WeightFixture.outliers, lowRank: [WeightFixture.path], site: WeightFixture.site
    ).encodedParts()
  }

  static func error(_ change: (inout EncodedWeight) -> Void) throws -> WeightsError? {
    var encoded = try full()
    change(&encoded)
    do {
      _ = try CompressedWeight(decoding: encoded)
      return nil
    } catch {
      return error
    }
  }

  static func replace(
    _ path: String, in encoded: inout EncodedWeight, _ change: (EncodedWeight.Part) -> Tensor
  ) {
    for (index, part) in encoded.parts.enumerated() where part.path == path {
      encoded.parts[index] = .init(
        path: path, tensor: change(part), attributes: part.attributes)
    }
  }

  @Test("each missing part is named")
  func missing() throws {
    let parts = try Self.full().parts.map(\.path)
    #expect(
      parts == [
        "base/codes", "base/scales", "base/zeros", "mask/bitmap", "outliers/columns",
        "outliers/values", "low_rank/0/b/values", "low_rank/0/a/values", "low_rank/0/sigma",
        "site/0/scale", "site/1/permutation",
      ])
    for (path, expected) in [
      ("base/codes", WeightsError.unexpectedPart("base/scales")),
      ("base/scales", .missingPart("base/scales")), ("base/zeros", .missingPart("base/zeros")),
      ("outliers/columns", .unexpectedPart("outliers/values")),
      ("outliers/values", .missingPart("outliers/values")),
      ("low_rank/0/b/values", .missingPart("low_rank/0/b")),
      ("low_rank/0/a/values", .missingPart("low_rank/0/a")),
      ("site/0/scale", .missingPart("site/0/scale")),
    ] {
      #expect(try Self.error { $0.parts.removeAll { $0.path == path } } == expected)
    }
  }

  @Test("wrong shapes and element types are named")
  func shapes() throws {
    for part in try Self.full().parts {
      let wrongShape = try Self.error { encoded in
        Self.replace(part.path, in: &encoded) { old in
          Tensor(
            dtype: old.tensor.dtype, shape: [1, 1, 1],
            array: [UInt8](repeating: 0, count: old.tensor.dtype.bytes), bytewise: true)
        }
      }
      #expect(wrongShape?.description.contains("'\(part.path)") == true, "\(part.path)")
      let wrongType = try Self.error { encoded in
        Self.replace(part.path, in: &encoded) { old in
          Tensor(
            dtype: .i64, shape: old.tensor.shape,
            array: [Int64](repeating: 0, count: old.tensor.shape.elementCount))
        }
      }
      #expect(
        wrongType?.description.contains("'\(part.path)': element type 'i64'") == true,
        "\(part.path)")
    }
  }

  @Test("scales that are zero, negative, infinite, NaN or subnormal are refused")
  func scales() throws {
    for bad in [Float(0), -1, .infinity, .nan, 0x1p-15] {
      let error = try Self.error { encoded in
        Self.replace("base/scales", in: &encoded) { old in
          var values = old.tensor.floats()
          values[5] = bad
          return .encoded(values, as: .f16, shape: old.tensor.shape)
        }
      }
      guard case .scaleNotUsable(part: "base/scales", index: 5, value: _) = error else {
        Issue.record("\(bad) gave \(String(describing: error))")
        continue
      }
    }
  }

  @Test("permutations, columns, padding, non-finite numbers")
  func values() throws {
    let twice = try Self.error { encoded in
      Self.replace("site/1/permutation", in: &encoded) { _ in
        Tensor(dtype: .i32, shape: [96], array: [Int32](repeating: 3, count: 96))
      }
    }
    #expect(twice == .notAPermutation(part: "site/1/permutation", index: 1))
    for (columns, expected) in [
      ([5, 5, 9], WeightsError.columnsNotAscending(part: "outliers/columns", index: 1)),
      (
        [5, 6, 96],
        .columnOutOfRange(part: "outliers/columns", index: 2, column: 96, columns: 96)
      ),
      ([-1, 6, 9], .columnOutOfRange(part: "outliers/columns", index: 0, column: -1, columns: 96)),
    ] {
      let found = try Self.error { encoded in
        Self.replace("outliers/columns", in: &encoded) { _ in
          Tensor(dtype: .i32, shape: [3], array: columns.map { Int32($0) })
        }
      }
      #expect(found == expected)
    }
    let infinite = try Self.error { encoded in
      Self.replace("low_rank/0/b/values", in: &encoded) { old in
        var values = old.tensor.floats()
        values[100] = .infinity
        return .encoded(values, as: .bf16, shape: old.tensor.shape)
      }
    }
    #expect(infinite == .valueNotFinite(part: "low_rank/0/b/values", index: 100))
  }

  @Test("padding bits must be zero")
  func padding() throws {
    var weight = CompressedWeight(
      view: WeightView(rows: 2, columns: 3),
      base: .integer(
        try IntegerBase.roundToNearest(
          Sample.matrix(2, 3),
          scheme: try IntegerScheme(bits: 3, granularity: .channel, clip: .none))),
      mask: Mask(rows: 2, columns: 3) { _, _ in true })
    try weight.validate()
    weight.mask = .bitmap(Tensor(dtype: .u8, shape: [2, 1], array: [7, 15] as [UInt8]))
    #expect(throws: WeightsError.paddingNotZero(part: "mask/bitmap", row: 1)) {
      try weight.validate()
    }
    weight.mask = nil
    guard case .integer(let base) = weight.base else { return }
    var codes = base.codes.bytes.array(of: UInt8.self)
    codes[1] |= 0x80
    weight.base = .integer(
      IntegerBase(
        grid: base.grid, rows: 2, columns: 3,
        codes: Tensor(dtype: .u8, shape: [2, 2], array: codes), scales: base.scales, zeros: nil))
    #expect(throws: WeightsError.paddingNotZero(part: "base/codes", row: 0)) {
      try weight.validate()
    }
  }

  @Test("unknown parts, versions, kinds and values of attributes are refused")
  func attributes() throws {
    let name = EncodedWeight.Name.self
    #expect(
      try Self.error {
        $0.parts.append(.init(path: "extra", tensor: WeightFixture.mask.bits))
      } == .unexpectedPart("extra"))
    #expect(
      try Self.error { $0.attributes[name.version] = .int(3) }
        == .unknownVersion(found: 3, newest: 2))
    #expect(
      try Self.error { $0.attributes[name.version] = nil }
        == .missingAttribute(part: "", name: name.version))
    for (key, value) in [
      (name.layout, AttributeValue.string("sideways")), (name.sourceShape, .ints([4])),
      (name.sourceShape, .ints([-1, 4])), (name.transforms, .strings(["scale", "fourier"])),
      (name.version, .string("one")), (name.lowRankScales, .string("x")),
    ] {
      let error = try Self.error { $0.attributes[key] = value }
      #expect(error?.description.contains("'\(key)'") == true, "\(key) \(value)")
    }
    for (key, value) in [
      (name.bits, AttributeValue.int(9)), (name.bits, .int(0)), (name.symmetric, .int(2)),
      (name.granularity, .string("galaxy")), (name.group, .int(0)), (name.packing, .string("x")),
      (name.columns, .int(-1)),
    ] {
      let error = try Self.error { encoded in
        var attributes = encoded.parts[0].attributes
        attributes[key] = value
        encoded.parts[0] = .init(
          path: "base/codes", tensor: encoded.parts[0].tensor, attributes: attributes)
      }
      #expect(error?.description.contains("'\(key)'") == true, "\(key) \(value)")
    }
    #expect(
      try Self.error { encoded in
        encoded.parts = []
        encoded.attributes[name.lowRankScales] = nil
        encoded.attributes[name.transforms] = nil
      } == .emptyWeight)
  }
}

extension Tensor {
  /// A tensor of any element type over bytes.
  fileprivate init(dtype: DType, shape: Shape, array: [UInt8], bytewise: Bool) {
    guard let tensor = try? Tensor(dtype: dtype, shape: shape, bytes: Bytes(array)) else {
      preconditionFailure("\(array.count) bytes for \(shape)")
    }
    self = tensor
  }
}
