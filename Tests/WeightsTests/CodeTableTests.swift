import Foundation
import Tensors
import Testing

@testable import Weights

/// Every code of every format, against enumerations that share nothing with the tables.
@Suite("Weights: values of number formats")
struct CodeTableTests {
  private func magnitudes(_ format: Minifloat) -> [Float] {
    let table = NumberFormat.minifloat(format).table
    return table.sorted.filter { $0 >= 0 }
  }

  @Test("the small OCP formats have the values of the specification")
  func smallFloats() {
    #expect(magnitudes(.e2m1) == [0, 0.5, 1, 1.5, 2, 3, 4, 6])
    #expect(
      magnitudes(.e3m2) == [
        0, 0.0625, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875, 1, 1.25,
        1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28,
      ])
    var e2m3: [Float] = (0...15).map { Float($0) / 8 }
    e2m3 += (0...7).map { 2 + Float($0) / 4 }
    e2m3 += (0...7).map { 4 + Float($0) / 2 }
    #expect(magnitudes(.e2m3) == e2m3)
    // Positives by code, then negatives.
    let table = NumberFormat.minifloat(.e2m1).table
    #expect(Array(table.values[0..<8]) == [0, 0.5, 1, 1.5, 2, 3, 4, 6])
    #expect(Array(table.values[8..<16]) == [-0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
  }

  @Test("8-bit floats: every code is what half-precision arithmetic says, specials excluded")
  func eightBits() {
    let e5m2 = NumberFormat.minifloat(.e5m2).table
    let e4m3 = NumberFormat.minifloat(.e4m3).table
    for code in 0...255 {
      // E5M2 is the upper byte of a binary16.
      let half = FloatConversion.float16(UInt16(code) << 8)
      if half.isFinite {
        #expect(e5m2.values[code] == half, "\(code)")
      } else {
        #expect(e5m2.values[code].isNaN)
      }
      let other = FloatConversion.float8E4M3(UInt8(code))
      #expect(e4m3.values[code] == other || (other.isNaN && e4m3.values[code].isNaN), "\(code)")
    }
    #expect(e5m2.largest == 57344 && e5m2.sorted.filter { $0 > 0 }.first == 0x1p-16)
    #expect(e4m3.largest == 448 && e4m3.sorted.filter { $0 > 0 }.first == 0x1p-9)
    #expect(e4m3.sorted.count == 253 && e5m2.sorted.count == 247)
  }

  @Test("every small float by the formula, in f64")
  func formula() {
    for format in FormatSample.minifloats {
      let table = NumberFormat.minifloat(format).table
      for code in 0..<1 << format.bits where !table.values[code].isNaN {
        let sign = code >> (format.bits - 1) == 1 ? -1.0 : 1.0
        let exponent = code >> format.mantissaBits & ((1 << format.exponentBits) - 1)
        let fraction =
          Double(code & ((1 << format.mantissaBits) - 1)) / pow(2, Double(format.mantissaBits))
        let value =
          exponent > 0
          ? (1 + fraction) * pow(2, Double(exponent - format.bias))
          : fraction * pow(2, Double(1 - format.bias))
        #expect(Double(table.values[code]) == sign * value, "\(format) \(code)")
      }
    }
    #expect(FormatSample.minifloats.count > 20)
  }

  @Test("codebooks")
  func codebooks() {
    // Quantiles of the normal distribution, by the construction of QLoRA's appendix.
    let table = NumberFormat.normalFloat4.table
    func quantile(_ p: Double) -> Double {
      var (low, high) = (-10.0, 10.0)
      for _ in 0..<80 {
        let middle = (low + high) / 2
        if 0.5 * erfc(-middle / 2.0.squareRoot()) < p { low = middle } else { high = middle }
      }
      return (low + high) / 2
    }
    func line(_ count: Int) -> [Double] {
      let step = (0.5 - 0.9677083) / Double(count - 1)
      return (0..<count - 1).map { 0.9677083 + step * Double($0) }
    }
    var all = [0.0]
    all += line(9).map(quantile)
    all += line(8).map { -quantile($0) }
    all.sort()
    for (found, expected) in zip(table.sorted, all) {
      #expect(abs(Double(found) - expected / (all.last ?? 1)) < 2e-7)
    }
    #expect(table.codes == Array(0...15) && table.values[7] == 0)
    let fp4 = NumberFormat.bitsandbytesFloat4.table
    let expected: [Float] = [0, 0.0625, 8, 12, 4, 6, 2, 3].map { $0 / 12 }
    #expect(Array(fp4.values[0..<8]) == expected)
    #expect(NumberFormat.ternary.table.sorted == [-1, 0, 1])
    #expect(NumberFormat.fixedPoint8.table.values[0x80] == -2)
    #expect(NumberFormat.fixedPoint8.table.sorted.last == 1.984375)
    let map = ScaleFormat.dynamicMap
    #expect(map.count == 256 && map[127] == 0 && map[255] == 1)
    #expect(map[0] == -0.99296875 && map[254] == 0.99296875)
    #expect(abs(map[128] - 5.5e-7) < 1e-12 && map == map.sorted())
  }

  @Test("thresholds of the specifications, ties to even and saturation")
  func thresholds() {
    func check(_ format: NumberFormat, _ pairs: [(Float, Float)]) {
      let table = format.table
      for (x, expected) in pairs {
        #expect(table.value(of: table.code(of: x)) == expected, "\(format.name) \(x)")
        #expect(
          table.value(of: table.code(of: -x)) == -expected || format == .normalFloat4,
          "\(format.name) \(-x)")
      }
    }
    check(
      .minifloat(.e4m3),
      [
        (17, 16), (19, 20), (18, 18), (0x1p-10, 0), (Float(0x1p-10).nextUp, 0x1p-9), (447, 448),
        (449, 448), (1e9, 448), (463.9, 448),
      ])
    check(.minifloat(.e5m2), [(57344, 57344), (65536, 57344), (0x1p-17, 0), (1e30, 57344)])
    check(
      .minifloat(.e2m1),
      [
        (0.25, 0), (Float(0.25).nextUp, 0.5), (Float(0.75).nextDown, 0.5), (0.75, 1), (1.25, 1),
        (Float(1.25).nextUp, 1.5), (Float(1.75).nextDown, 1.5), (1.75, 2), (2.5, 2),
        (Float(2.5).nextUp, 3), (Float(3.5).nextDown, 3), (3.5, 4), (5, 4),
        (Float(5).nextUp, 6), (100, 6),
      ])
    check(
      .bitsandbytesFloat4,
      [(0.0026, 0), (0.00261, 0.0625 / 12), (0.0859, 0.0625 / 12), (0.086, 2.0 / 12), (9, 1)])
    check(.ternary, [(0.5, 0), (Float(0.5).nextUp, 1), (7, 1)])
    let thresholds: [Float] = [
      -0.8480964, -0.6106329, -0.4599953, -0.3396794, -0.2346074, -0.1379117, -0.0455250,
      0.0397901, 0.1202553, 0.2035213, 0.2920138, 0.3893125, 0.5016634, 0.6427869, 0.8614785,
    ]
    let table = NumberFormat.normalFloat4.table
    for (index, bound) in thresholds.enumerated() {
      #expect(Int(table.code(of: bound - 1e-6)) == index)
      #expect(Int(table.code(of: bound + 1e-6)) == index + 1)
    }
  }

  @Test("the nearest value everywhere, and every value finds itself")
  func nearest() {
    for format in FormatSample.formats {
      let table = format.table
      for (code, value) in zip(table.codes, table.sorted) {
        #expect(table.code(of: value) == code && table.value(of: code) == value)
      }
      for x in Philox(seed: 3).normals(count: 400, purpose: .sampling) {
        let at = x * table.reach / 2
        let found = table.value(of: table.code(of: at))
        let least = table.sorted.map { abs(Double($0) - Double(at)) }.min() ?? 0
        #expect(abs(Double(found) - Double(at)) == least, "\(format.name) \(at)")
      }
    }
  }

  @Test("names come back, others are refused")
  func names() throws {
    for format in FormatSample.formats {
      let exponent: Float? = if case .power(_, let value) = format { value } else { nil }
      #expect(try NumberFormat(name: format.name, exponent: exponent) == format)
    }
    for name in ["", "e9m9", "e0m3", "e4m4", "int4", "power9", "power04", "E2M1", "nf5", "e2m10"] {
      #expect(throws: WeightsError.self) { try NumberFormat(name: name) }
    }
    #expect(throws: WeightsError.self) { try NumberFormat(name: "power4", exponent: .nan) }
  }
}
