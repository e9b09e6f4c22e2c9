import Tensors
import Testing

@testable import Weights

@Suite("Weights: schemes, encoder, packing, sums")
struct SchemeTests {
  @Test("impossible schemes are refused")
  func refused() throws {
    #expect(throws: WeightsError.bitsOutOfRange(1)) { try IntegerScheme(bits: 1) }
    #expect(throws: WeightsError.bitsOutOfRange(9)) { try IntegerScheme(bits: 9) }
    #expect(throws: WeightsError.scaleTypeUnsupported(.f64)) {
      try IntegerScheme(bits: 4, scaleType: .f64)
    }
    #expect(throws: WeightsError.clipSearchInvalid(steps: 0, maxShrink: 0.5)) {
      try IntegerScheme(bits: 4, clip: .meanSquare(steps: 0, maxShrink: 0.5))
    }
    #expect(throws: WeightsError.groupDoesNotDivide(group: 128, columns: 100)) {
      try IntegerEncoder(try IntegerScheme(bits: 4), columns: 100)
    }
    #expect(throws: WeightsError.rangeMissing) {
      try IntegerEncoder(try IntegerScheme(bits: 4, granularity: .tensor), columns: 100)
    }
  }

  @Test("the group falls back to the largest power of two that divides, then to the channel")
  func fallback() {
    #expect(GroupFallback.resolve(requested: 128, columns: 256).granularity == .group(128))
    #expect(GroupFallback.resolve(requested: 128, columns: 256).note == nil)
    #expect(GroupFallback.resolve(requested: 128, columns: 576).granularity == .group(64))
    #expect(GroupFallback.resolve(requested: 128, columns: 704).granularity == .group(64))
    #expect(GroupFallback.resolve(requested: 128, columns: 1552).granularity == .group(16))
    #expect(GroupFallback.resolve(requested: 128, columns: 1544).granularity == .channel)
    #expect(GroupFallback.resolve(requested: 100, columns: 192).granularity == .group(64))
    #expect(GroupFallback.resolve(requested: 128, columns: 99).note != nil)
  }

  @Test("chunks of any size give the bytes of one chunk")
  func chunks() throws {
    let weight = Sample.matrix(10, 96)
    for symmetric in [true, false] {
      let scheme = try IntegerScheme(
        bits: 3, symmetric: symmetric, granularity: .group(32), clip: .none)
      let encoder = try IntegerEncoder(scheme, columns: 96)
      let whole = try encoder.encode(weight).base
      var codes = [UInt8](repeating: 0, count: 10 * encoder.codeBytesPerRow)
      var scales = [UInt8](repeating: 0, count: 10 * encoder.scaleBytesPerRow)
      var zeros = [UInt8](repeating: 0, count: 10 * encoder.zeroBytesPerRow)
      #expect(encoder.zeroBytesPerRow == (symmetric ? 0 : 2))
      for (first, count) in [(0, 3), (3, 1), (4, 6)] {
        try weight.values.withUnsafeBufferPointer { values in
          try codes.withUnsafeMutableBytes { codeBytes in
            try scales.withUnsafeMutableBytes { scaleBytes in
              try zeros.withUnsafeMutableBytes { zeroBytes in
                let codeStart = try #require(codeBytes.baseAddress)
                let scaleStart = try #require(scaleBytes.baseAddress)
                _ = try encoder.encode(
                  UnsafeBufferPointer(rebasing: values[first * 96..<(first + count) * 96]),
                  rowCount: count, firstRow: first,
                  codes: codeStart + first * encoder.codeBytesPerRow,
                  scales: scaleStart + first * encoder.scaleBytesPerRow,
                  zeros: symmetric ? nil : zeroBytes.baseAddress.map { $0 + first * 2 })
              }
            }
          }
        }
      }
      #expect([codes, scales] + (symmetric ? [] : [zeros]) == whole.storedBytes)
    }
  }

  @Test("a range gives a scheme per tensor its scale")
  func tensorRange() throws {
    let scheme = try IntegerScheme(
      bits: 4, granularity: .tensor, scaleType: .f32, clip: .none)
    let weight = Sample.matrix(3, 40)
    let low = weight.values.min() ?? 0
    let high = weight.values.max() ?? 0
    let encoder = try IntegerEncoder(scheme, columns: 40, range: low...high)
    let streamed = try encoder.encode(weight).base
    let whole = try IntegerBase.roundToNearest(weight, scheme: scheme)
    #expect(streamed.storedBytes == whole.storedBytes)
    #expect(streamed.scales.shape == [1, 1])
    #expect(encoder.scalesPerRow == 0)
  }

  @Test("packing and unpacking undo each other")
  func packing() {
    for bits in 1...8 {
      for count in 1...200 {
        let codes = (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 37 &+ bits) % (1 << bits)) }
        let packed = PackedCodes.pack(codes, bits: bits)
        #expect(packed.count == PackedCodes.bytes(count: count, bits: bits))
        #expect(PackedCodes.unpack(packed, count: count, bits: bits) == codes)
        packed.withUnsafeBytes { stream in
          #expect(PackedCodes.code(stream, index: count - 1, bits: bits) == Int(codes[count - 1]))
        }
      }
    }
    #expect(PackedCodes.pack([1, 2, 3, 4], bits: 4) == [0x21, 0x43])
    #expect(PackedCodes.pack([1, 2, 3, 0], bits: 2) == [0b00_11_10_01])
  }

  @Test("error metrics by hand, and with nothing to divide by")
  func sums() {
    let original: [Float] = [3, 4, 0]
    let other: [Float] = [3, 3, 0]
    var sums = ErrorSums()
    for index in 0..<3 {
      sums += original[index..<index + 1].withUnsafeBufferPointer { a in
        other[index..<index + 1].withUnsafeBufferPointer {
          ErrorSums(original: a, approximation: $0)
        }
      }
    }
    #expect(sums.count == 3 && sums.squaredError == 1 && sums.maximumAbsolute == 1)
    #expect(abs(sums.relativeFrobenius - 0.2) < 1e-12)
    #expect(abs(sums.signalToNoiseDecibels - 13.979400086720377) < 1e-9)
    #expect(abs(sums.cosine - 21 / (5 * 18.0.squareRoot())) < 1e-12)
    #expect(abs(sums.meanSquaredError - 1.0 / 3) < 1e-12)
    let nothing = ErrorSums()
    #expect(nothing.relativeFrobenius == 0 && nothing.cosine == 1 && nothing.meanSquaredError == 0)
    #expect(nothing.signalToNoiseDecibels == .infinity)
    let wrong = ErrorSums(count: 1, squaredError: 4, squaredApproximation: 4)
    #expect(wrong.relativeFrobenius == .infinity && wrong.cosine == 0)
    #expect(wrong.signalToNoiseDecibels == -.infinity)
  }

  @Test("every error has a sentence of its own")
  func sentences() {
    let errors: [WeightsError] = [
      .bitsOutOfRange(9), .scaleTypeUnsupported(.i8), .groupDoesNotDivide(group: 3, columns: 4),
      .notFinite(row: 1, column: 2), .missingPart("base/scales"), .emptyWeight,
      .attribute(part: "", name: "bits", expected: "2 to 8", found: "9"),
      .baseQuantized(operation: "x"), .unknownVersion(found: 2, newest: 1),
    ]
    #expect(Set(errors.map(\.description)).count == errors.count)
    #expect(errors.allSatisfy { $0.description != "a weight's error" })
  }
}
