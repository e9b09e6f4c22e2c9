import Kernels
import Tensors
import Testing

@Suite("Kernels: panels of integer grids")
struct PanelTests {
  /// One weight's stored rows and a second one's scales and zero points over the same codes.
  struct Pair {
    let given: IntegerGridTests.Case
    let codes: [UInt8]
    let scales: [[UInt8]]
    let zeros: [[UInt8]]

    init(_ given: IntegerGridTests.Case) {
      self.given = given
      func encoded(_ seed: UInt64, scale: Float) -> IntegerGridTests.Encoded {
        IntegerGridTests.encode(
          Sample.normals(given.rows * given.columns, seed: seed, scale: scale), given,
          reference: true)
      }
      let (one, two) = (encoded(5, scale: 1), encoded(6, scale: 0.7))
      codes = one.codes
      scales = [one.scales, two.scales]
      zeros = [one.zeros, two.zeros]
    }

    /// Calls a body with both weights as the kernels take them.
    func withRows(_ body: ([PithIntegerRows]) -> Void) {
      let groups = given.columns / given.group
      codes.withUnsafeBufferPointer { codes in
        scales[0].withUnsafeBytes { scales0 in
          scales[1].withUnsafeBytes { scales1 in
            zeros[0].withUnsafeBufferPointer { zeros0 in
              zeros[1].withUnsafeBufferPointer { zeros1 in
                body(
                  [(scales0, zeros0), (scales1, zeros1)].map { scales, zeros in
                    PithIntegerRows(
                      codes: codes.baseAddress, scales: scales.baseAddress,
                      zeros: given.symmetric ? nil : zeros.baseAddress,
                      codes_stride: (given.columns * Int(given.bits) + 7) / 8,
                      scales_stride: groups, zeros_stride: (groups * Int(given.bits) + 7) / 8,
                      columns: given.columns, group: given.group, bits: given.bits,
                      scale_type: Int32(given.scaleType))
                  })
              }
            }
          }
        }
      }
    }
  }

  static let cases: [IntegerGridTests.Case] = {
    var result = IntegerGridTests.cases.filter { $0.columns <= 576 }
    for (rows, columns, group) in [(37, 576, 64), (70, 96, 8), (16, 200, 200), (33, 300, 4)] {
      for bits in [Int32(2), 3, 4, 8] {
        result.append(
          IntegerGridTests.Case(
            bits: bits, symmetric: bits == 3, scaleType: Int(bits) % 3, rows: rows,
            columns: columns, group: group))
      }
    }
    return result
  }()

  @Test("both weights' panels are the plain decoder's numbers on every target")
  func panels() {
    for given in Self.cases {
      Pair(given).withRows { weights in
        forEachTarget { name in
          let width = pith_panel_width()
          for (first, column) in [(0, 0), (1, 8)] {
            let (rows, columns) = (given.rows - first, given.columns - column)
            let stride = (rows + width - 1) / width * width * columns
            var expected = [Float](repeating: -7, count: 2 * stride + 3)
            var found = expected
            pith_decode_panels_reference(
              weights, 2, first, rows, column, columns, &expected, stride, width)
            pith_decode_panels(weights, 2, first, rows, column, columns, &found, stride)
            #expect(found == expected, "\(name) \(given)")
            // Two weights, not one twice.
            #expect(found[..<stride] != found[stride..<2 * stride])
          }
        }
      }
    }
  }

  /// Pieces that are packed and multiplied one after the other are the whole product.
  @Test func packedProducts() {
    let (rows, outputs, columns) = (29, 70, 1000)
    let x = Sample.normals(rows * columns, seed: 3)
    let w = Sample.normals(outputs * columns, seed: 4)
    var scratch = [Float](repeating: .nan, count: pith_product_scratch())
    forEachTarget { name in
      var expected = [Float](repeating: -7, count: rows * outputs)
      pith_product(w, outputs, columns, columns, x, rows, columns, &expected, outputs, &scratch)
      var found = [Float](repeating: .nan, count: rows * outputs)
      for column in stride(from: 0, to: columns, by: 576) {
        let deep = min(576, columns - column)
        w.withUnsafeBufferPointer { w in
          x.withUnsafeBufferPointer { x in
            guard let w = w.baseAddress, let x = x.baseAddress else { return }
            pith_product_pack(w + column, outputs, columns, deep, &scratch)
            pith_product_packed(
              scratch, outputs, deep, x + column, rows, columns, &found, outputs,
              column > 0 ? 1 : 0)
          }
        }
      }
      #expect(found == expected, "\(name)")
    }
  }
}
