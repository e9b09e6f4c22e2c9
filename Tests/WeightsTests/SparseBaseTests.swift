import Tensors
import Testing

@testable import Weights

@Suite("Weights: survivors alone")
struct SparseBaseTests {
  static let rows = 37
  static let columns = 192

  /// Bases of every kind.
  static func bases() throws -> [Base] {
    let matrix = Sample.matrix(rows, columns)
    var result: [Base] = [DType.f32, .f16, .bf16].map { .dense(matrix, as: $0) }
    for (bits, symmetric, granularity) in [
      (4, true, Granularity.group(64)), (3, false, .group(24)), (2, false, .channel),
      (5, true, .tensor), (8, false, .group(192)),
    ] {
      let scheme = try IntegerScheme(
        bits: bits, symmetric: symmetric, granularity: granularity, clip: .none)
      result.append(.integer(try .roundToNearest(matrix, scheme: scheme)))
    }
    return result
  }

  /// Masks that end in each of the three forms, empty and full rows among them.
  static func masks() -> [(mask: Mask, form: String)] {
    let draws = Sample.matrix(rows, columns, seed: 9)
    func random(_ share: Float) -> Mask {
      Mask(rows: rows, columns: columns) { row, column in
        row == 3 ? false : row == 5 || draws[row, column] < share
      }
    }
    func pattern(_ keep: Int, _ of: Int) -> Mask {
      Mask(rows: rows, columns: columns) { row, column in
        (column + row * 7 + column / of * 5) % of < keep
      }
    }
    return [
      (random(0), "bitmap"), (random(-0.7), "bitmap"), (pattern(2, 4), "patterns"),
      (pattern(4, 8), "patterns"), (pattern(1, 3), "patterns"), (pattern(7, 16), "patterns"),
      (random(-2.2), "gaps"),
      (Mask(rows: rows, columns: columns) { $0 == 9 && $1 == 191 }, "gaps"),
      (Mask(rows: rows, columns: columns) { _, _ in false }, "gaps"),
    ]
  }

  @Test("packing keeps every value and never grows; the way back too")
  func roundTrip() throws {
    for base in try Self.bases() {
      for (mask, form) in Self.masks() {
        let weight = CompressedWeight(
          view: WeightView(rows: Self.rows, columns: Self.columns), base: base, mask: mask)
        let packed = weight.packed()
        #expect(packed.storedBytes < weight.storedBytes)
        guard case .sparse(let sparse)? = packed.base else {
          Issue.record("not packed")
          continue
        }
        switch sparse.positions {
        case .bitmap: #expect(form == "bitmap")
        case .patterns: #expect(form == "patterns")
        // With a full row a bitmap may be smaller after all.
        case .gaps: #expect(form == "gaps")
        }
        try packed.validate()
        #expect(packed.decoded() == weight.decoded())
        #expect(packed.decoded(rows: 4..<11) == weight.decoded(rows: 4..<11))
        #expect(packed.maskedFraction == weight.maskedFraction)
        #expect(packed.packed().storedBytes == packed.storedBytes)
        let apart = packed.unpacked()
        #expect(
          apart.mask?.bits.bytes.array(of: UInt8.self) == mask.bits.bytes.array(of: UInt8.self))
        #expect(apart.decoded() == weight.decoded())
        let back = try CompressedWeight(decoding: packed.encodedParts())
        #expect(back.decoded() == weight.decoded() && back.storedBytes == packed.storedBytes)
      }
    }
  }

  @Test("products are those of the decoded weight", arguments: [1, 3, 4, 5, 40])
  func products(count: Int) throws {
    let inputs = Sample.matrix(count, Self.columns, seed: 4)
    for base in try Self.bases() {
      for (mask, _) in Self.masks() {
        let packed = CompressedWeight(
          view: WeightView(rows: Self.rows, columns: Self.columns), base: base, mask: mask
        ).packed()
        let expected = packed.multipliedByReference(inputs)
        let found = packed.multiplied(by: inputs)
        for (left, right) in zip(expected.values, found.values) {
          #expect(abs(left - right) < 1e-4 * max(1, abs(left)))
        }
      }
    }
  }

  @Test("survivors alone for few rows of inputs, decoded tiles for many")
  func choice() throws {
    let bits = Tensor(dtype: .u8, shape: [1, 1], array: [UInt8(0)])
    let bitmap = SparsePositions.bitmap(bits)
    let patterns = SparsePositions.patterns(keep: 2, of: 4, numbers: bits)
    let gaps = SparsePositions.gaps(bits, counts: bits)
    func isAlone(_ positions: SparsePositions, _ coded: Bool, _ density: Double, _ rows: Int)
      -> Bool
    {
      let cost = SparseCost(positions: positions, isCoded: coded, density: density)
      return cost.survivorsAlone(rows: rows) <= cost.decodedTiles(rows: rows)
    }
    for coded in [false, true] {
      for positions in [bitmap, patterns] {
        // Eight rows share what is spread.
        for rows in [1, 2, 3, 4, 5, 6, 8] { #expect(isAlone(positions, coded, 0.5, rows)) }
        for rows in 16...100 { #expect(!isAlone(positions, coded, 0.5, rows)) }
      }
      // With gaps every row pays for every survivor: the fewer, the longer it is worth it.
      for rows in 1...100 {
        #expect(isAlone(gaps, coded, 0.1, rows) == (rows < 10), "\(rows)")
        #expect(isAlone(gaps, coded, 0.05, rows) == (rows < 15), "\(rows)")
      }
    }
    for form in ["bitmap", "patterns", "gaps"] {
      guard case .sparse(let sparse)? = try packed(form).base else { continue }
      #expect(sparse.prefersSurvivors(rows: 1) && !sparse.prefersSurvivors(rows: 64))
    }
  }

  @Test("half of it in 4 bits is 24 % smaller than all of it, 2:4 30 %")
  func sizes() throws {
    let matrix = Sample.matrix(256, 1024)
    let scheme = try IntegerScheme(bits: 4, granularity: .group(128), clip: .none)
    let base = Base.integer(try .roundToNearest(matrix, scheme: scheme))
    let dense = CompressedWeight(view: WeightView(rows: 256, columns: 1024), base: base)
    let draws = Sample.matrix(256, 1024, seed: 2)
    var half = dense
    half.mask = Mask(rows: 256, columns: 1024) { draws[$0, $1] < 0 }
    var pairs = dense
    pairs.mask = Mask(rows: 256, columns: 1024) { ($0 + $1) % 4 < 2 }
    #expect(Double(half.packed().storedBytes) < 0.76 * Double(dense.storedBytes))
    #expect(Double(pairs.packed().storedBytes) < 0.70 * Double(dense.storedBytes))
  }

  private func packed(_ form: String, _ base: Int = 3) throws -> CompressedWeight {
    let mask = try #require(Self.masks().first { $0.form == form }).mask
    return CompressedWeight(
      view: WeightView(rows: Self.rows, columns: Self.columns), base: try Self.bases()[base],
      mask: mask
    ).packed()
  }

  private func error(
    _ weight: CompressedWeight, _ path: String, _ change: (inout [UInt8]) -> Void
  ) -> WeightsError? {
    var encoded = weight.encodedParts()
    for (index, part) in encoded.parts.enumerated() where part.path == path {
      var bytes = part.tensor.bytes.array(of: UInt8.self)
      change(&bytes)
      guard
        let tensor = try? Tensor(
          dtype: part.tensor.dtype, shape: part.tensor.shape, bytes: Bytes(bytes))
      else { return nil }
      encoded.parts[index] = .init(path: path, tensor: tensor, attributes: part.attributes)
    }
    do {
      _ = try CompressedWeight(decoding: encoded)
      return nil
    } catch { return error }
  }

  @Test("hostile positions are refused")
  func hostile() throws {
    let bitmap = try packed("bitmap", 0)
    // One survivor more than there are values; row 3 has none.
    guard
      case .shape(part: "base/survivors", expected: _, found: _)? =
        error(bitmap, "base/kept/bitmap", { $0[3 * 24] |= 1 })
    else {
      Issue.record("one survivor too many was accepted")
      return
    }
    let patterns = try packed("patterns")
    #expect(
      error(patterns, "base/kept/patterns") { $0[0] |= 7 }
        == .patternNumberOutOfRange(part: "base/kept/patterns", row: 0, group: 0, count: 6))
    let gaps = try packed("gaps", 0)
    #expect(
      error(gaps, "base/kept/gaps") { $0[0] = 254 }
        == .gapsInvalid(part: "base/kept/gaps", row: 0))
    let counts = error(gaps, "base/kept/counts") { $0[0] &+= 1 }
    #expect(counts?.description.contains("base/") == true)
    let negative = error(gaps, "base/kept/counts") { $0[3] = 0xFF }
    #expect(negative == .gapsInvalid(part: "base/kept/counts", row: 0))
    var encoded = patterns.encodedParts()
    for (index, part) in encoded.parts.enumerated() where part.path.hasSuffix("patterns") {
      for (name, value) in [("of", 64), ("keep", 4), ("of", -4), ("columns", 191)] {
        var attributes = part.attributes
        attributes[name] = .int(value)
        var changed = encoded
        changed.parts[index] = .init(
          path: part.path, tensor: part.tensor, attributes: attributes)
        #expect(throws: WeightsError.self) { try CompressedWeight(decoding: changed) }
      }
    }
    encoded.parts.append(.init(path: "mask/bitmap", tensor: try #require(bitmap.payloads.first)))
    #expect(throws: WeightsError.self) { try CompressedWeight(decoding: encoded) }
    encoded.parts.removeAll { $0.path != "base/survivors" && $0.path != "base/scales" }
    #expect(throws: WeightsError.missingPart("base/kept/gaps")) {
      try CompressedWeight(decoding: encoded)
    }
  }

  @Test("random bytes are refused or decode to finite numbers")
  func fuzz() throws {
    for form in ["bitmap", "patterns", "gaps"] {
      let weight = try packed(form)
      let paths = weight.encodedParts().parts.map(\.path)
      var state: UInt64 = 88_172_645_463_325_252
      func draw(below bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(bound))
      }
      for round in 0..<300 {
        var encoded = weight.encodedParts()
        let index = round % paths.count
        let part = encoded.parts[index]
        var bytes = part.tensor.bytes.array(of: UInt8.self)
        for _ in 0..<3 where !bytes.isEmpty {
          bytes[draw(below: bytes.count)] = UInt8(draw(below: 256))
        }
        encoded.parts[index] = .init(
          path: part.path,
          tensor: try Tensor(
            dtype: part.tensor.dtype, shape: part.tensor.shape, bytes: Bytes(bytes)),
          attributes: part.attributes)
        guard let back = try? CompressedWeight(decoding: encoded) else { continue }
        #expect(back.decoded().values.allSatisfy { $0.isFinite })
      }
    }
  }

  @Test("what a mask claims is checked")
  func claims() throws {
    for text in ["2:4", "0.5 of the row", "0.25 of the matrix"] {
      #expect(SparsityClaim(text)?.description == text)
    }
    for text in ["", "4:2", "2:4:8", "0.5", "1.5 of the row", "-1:2", "nan of the row"] {
      #expect(SparsityClaim(text) == nil, "\(text)")
    }
    let view = WeightView(rows: Self.rows, columns: Self.columns)
    let base = try Self.bases()[3]
    var mask = Mask(rows: Self.rows, columns: Self.columns) { ($0 + $1) % 4 < 2 }
    for (claim, isTrue) in [
      (SparsityClaim.pattern(keep: 2, of: 4), true), (.pattern(keep: 1, of: 4), false),
      (.pattern(keep: 4, of: 8), true), (.fraction(0.5, of: .row), true),
      (.fraction(0.48, of: .row), false), (.fraction(0.5, of: .matrix), true),
      (.fraction(0.501, of: .matrix), false),
    ] {
      mask.claim = claim
      let weight = CompressedWeight(view: view, base: base, mask: mask)
      for form in [weight, weight.packed()] {
        if isTrue {
          let back = try CompressedWeight(decoding: form.encodedParts())
          #expect(back.unpacked().mask?.claim == claim)
        } else {
          #expect(throws: WeightsError.self) {
            try CompressedWeight(decoding: form.encodedParts())
          }
        }
      }
    }
  }
}
