import Tensors
import Testing

@Suite("Shapes and tensors")
struct ShapeTests {
  @Test("Counts, rows and rows' sizes")
  func counts() throws {
    let shape: Shape = [4, 3, 2]
    #expect(shape.elementCount == 24 && shape.rank == 3)
    #expect(shape.rows == 4 && shape.rowElementCount == 6)
    #expect(try shape.byteCount(of: .bf16) == 48)
    let scalar: Shape = []
    #expect(scalar.elementCount == 1 && scalar.rows == 1 && scalar.rowElementCount == 1)
    #expect("\(shape)" == "4 × 3 × 2" && "\(scalar)" == "scalar")
    #expect(try Shape(checking: [3, 0, 5]).elementCount == 0)
  }

  @Test("Extents from a file that are negative or overflow are errors")
  func overflow() throws {
    #expect(throws: TensorsError.negativeExtent([2, -1])) { try Shape(checking: [2, -1]) }
    for extents in [
      [Int.max, 2], [1 << 32, 1 << 32], [1 << 21, 1 << 21, 1 << 21, 2],
      [0, 1 << 40, 1 << 40], [1 << 40, 1 << 40, 0],
    ] {
      #expect(throws: TensorsError.elementCountOverflows(extents)) { try Shape(checking: extents) }
    }
    // Room is left for elements of 8 bytes, so that no byte count can overflow later.
    #expect(throws: TensorsError.elementCountOverflows([Int.max / 4])) {
      try Shape(checking: [Int.max / 4])
    }
    #expect(try Shape(checking: [Int.max / 8]).byteCount(of: .f64) == Int.max / 8 * 8)
    // A row of an empty tensor has a size too.
    #expect(try Shape(checking: [0, Int.max / 8]).rowElementCount == Int.max / 8)
  }

  @Test("A tensor's bytes fill its shape exactly")
  func tensor() throws {
    let bytes = Bytes([Float](repeating: 1, count: 6))
    #expect(throws: Never.self) { try Tensor(dtype: .f32, shape: [2, 3], bytes: bytes) }
    #expect(throws: TensorsError.byteCountMismatch(expected: 28, found: 24)) {
      try Tensor(dtype: .f32, shape: [7], bytes: bytes)
    }
    #expect(throws: TensorsError.byteCountMismatch(expected: 48, found: 24)) {
      try Tensor(dtype: .f64, shape: [2, 3], bytes: bytes)
    }
  }

  @Test("Attributes in the forms that readers ask for")
  func attributes() {
    #expect(AttributeValue.int(3).double == 3 && AttributeValue.int(3).ints == [3])
    #expect(AttributeValue.string("a").strings == ["a"] && AttributeValue.string("a").int == nil)
    #expect(AttributeValue.doubles([1]).double == nil)
  }
}
