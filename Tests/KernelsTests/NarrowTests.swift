import Kernels
import Tensors
import Testing

@Suite("Kernels: products in 16-bit arithmetic")
struct NarrowTests {
  struct Rounded: Equatable {
    var values: [Int16]
    var scales: [Float]
  }

  static func rounded(
    _ x: [Float], rows: Int, columns: Int, chunk: Int, reference: Bool = false
  ) -> Rounded {
    var result = Rounded(
      values: Array(repeating: 99, count: rows * columns),
      scales: Array(repeating: 99, count: rows * columns / chunk))
    let stride = x.count / rows
    (reference ? pith_narrow_rows_reference : pith_narrow_rows)(
      x, rows, stride, columns, chunk, &result.values, &result.scales)
    return result
  }

  /// Runs whose largest decides, that are too small, and that are not finite.
  @Test func rows() {
    let (rows, columns) = (9, 192)
    var x = Sample.normals(rows * (columns + 5), seed: 8)
    for (index, value) in Sample.awkward.enumerated() { x[index * 37] = value }
    for column in 0..<64 { x[6 * (columns + 5) + column] *= 1e-36 }
    (x[64], x[400], x[900]) = (.nan, .infinity, -.infinity)
    for chunk in [32, 64, 8] {
      let plain = Self.rounded(x, rows: rows, columns: columns, chunk: chunk, reference: true)
      #expect(plain.scales.filter(\.isNaN).count == 3)
      #expect(plain.scales.contains(0) && plain.values.contains(32767))
      for (place, value) in plain.values.enumerated() {
        let (row, column) = (place / columns, place % columns)
        let scale = plain.scales[place / chunk]
        let given = x[row * (columns + 5) + column]
        guard scale > 0 else { continue }
        #expect(abs(Float(value) * scale - given) <= scale * 0.51)
      }
      forEachTarget { name in
        let found = Self.rounded(x, rows: rows, columns: columns, chunk: chunk)
        #expect(found.values == plain.values, "\(name)")
        #expect(found.scales.map(\.bitPattern) == plain.scales.map(\.bitPattern), "\(name)")
      }
    }
  }

  struct Packed {
    var codes: [Int32]
    var scales: [Float]
    let stride: Int
  }

  static func packed(
    _ weights: [PithIntegerRows], first: Int, rows: Int, column: Int, columns: Int, chunk: Int,
    reference: Bool
  ) -> Packed {
    let width = pith_panel_width()
    let whole = (rows + width - 1) / width * width
    let stride = whole * columns / chunk
    var result = Packed(
      codes: Array(repeating: 0, count: whole * columns / 2),
      scales: Array(repeating: -7, count: 2 * stride), stride: stride)
    if reference {
      pith_narrow_panels_reference(
        weights, 2, first, rows, column, columns, chunk, &result.codes, &result.scales, stride,
        width)
    } else {
      pith_narrow_panels(
        weights, 2, first, rows, column, columns, chunk, &result.codes, &result.scales, stride)
    }
    return result
  }

  static let cases = PanelTests.cases.filter { $0.group % 32 == 0 || $0.group == 8 }

  /// Panels and products of them are the twins', bit for bit, whatever the extents.
  @Test func products() {
    #expect(Self.cases.count > 8)
    for given in Self.cases {
      let chunk = [64, 32, 8].first { given.group % $0 == 0 } ?? 8
      PanelTests.Pair(given).withRows { weights in
        // The second holds the first's zero points: these belong to the codes.
        let weights = [
          weights[0],
          PithIntegerRows(
            codes: weights[1].codes, scales: weights[1].scales, zeros: weights[0].zeros,
            codes_stride: weights[1].codes_stride, scales_stride: weights[1].scales_stride,
            zeros_stride: weights[0].zeros_stride, columns: weights[1].columns,
            group: weights[1].group, bits: weights[1].bits, scale_type: weights[1].scale_type),
        ]
        forEachTarget { name in
          for (first, column) in [(0, 0), (1, chunk)] where column < given.columns {
            Self.check(weights, given, first: first, column: column, chunk: chunk, name)
          }
        }
      }
    }
  }

  static func check(
    _ weights: [PithIntegerRows], _ given: IntegerGridTests.Case, first: Int, column: Int,
    chunk: Int, _ name: String
  ) {
    let width = pith_panel_width()
    let (outputs, columns) = (given.rows - first, given.columns - column)
    let plain = packed(
      weights, first: first, rows: outputs, column: column, columns: columns, chunk: chunk,
      reference: true)
    let fast = packed(
      weights, first: first, rows: outputs, column: column, columns: columns, chunk: chunk,
      reference: false)
    #expect(fast.scales == plain.scales, "\(name) \(given)")
    #expect(fast.scales[..<fast.stride] != fast.scales[fast.stride...])
    let whole = outputs / width * width
    #expect(fast.codes[..<(whole * columns / 2)] == plain.codes[..<(whole * columns / 2)])
    for count in [1, 23] {
      let x = Sample.normals(count * columns, seed: 31)
      let rounded = rounded(x, rows: count, columns: columns, chunk: chunk)
      for adds in [Int32(0), 1] {
        for side in 0..<2 {
          var expected = Sample.normals(count * (outputs + 3), seed: 77)
          var found = expected
          rounded.values.withUnsafeBufferPointer { values in
            rounded.scales.withUnsafeBufferPointer { scales in
              let x = PithNarrowRows(
                values: values.baseAddress, scales: scales.baseAddress, rows: count,
                stride: columns, scales_stride: columns / chunk)
              pith_narrow_product_reference(
                plain.codes, Array(plain.scales[(side * plain.stride)...]), outputs, columns,
                chunk, x, &expected, outputs + 3, adds, width)
              pith_narrow_product(
                fast.codes, Array(fast.scales[(side * fast.stride)...]), outputs, columns, chunk,
                x, &found, outputs + 3, adds)
            }
          }
          #expect(found == expected, "\(name) \(given) \(count) rows, adds \(adds)")
        }
      }
    }
  }
}
