/// The extents of a tensor, outermost first (row-major); a scalar has none.
///
/// Invariant: no extent is negative, and their product fits in `Int`.
public struct Shape: Sendable, Hashable, CustomStringConvertible {
  /// The extents, outermost first.
  public let dimensions: [Int]
  /// The product of the extents: 1 for a scalar, 0 when any extent is 0.
  public let elementCount: Int

  /// A shape whose extents were read from a file.
  ///
  /// Extents of 0 count as 1 in the check, and room is left for elements of 8 bytes: otherwise
  /// 0 × 2⁴⁰ × 2⁴⁰ would pass here and overflow in the byte count of one row.
  ///
  /// - Throws: `TensorsError.negativeExtent` or `.elementCountOverflows`.
  public init(checking dimensions: [Int]) throws(TensorsError) {
    guard dimensions.allSatisfy({ $0 >= 0 }) else { throw .negativeExtent(dimensions) }
    var product = 8
    for extent in dimensions {
      let (next, overflow) = product.multipliedReportingOverflow(by: max(extent, 1))
      guard !overflow else { throw .elementCountOverflows(dimensions) }
      product = next
    }
    self.dimensions = dimensions
    self.elementCount = dimensions.contains(0) ? 0 : product / 8
  }

  /// A shape that is known to be valid; a negative extent or an overflow is a bug of the caller.
  public init(_ dimensions: [Int]) {
    var count = 1
    for extent in dimensions {
      precondition(extent >= 0, "negative extent in \(dimensions)")
      count *= extent
    }
    self.dimensions = dimensions
    self.elementCount = count
  }

  /// The number of extents.
  public var rank: Int { dimensions.count }

  /// The outermost extent; 1 for a scalar.
  public var rows: Int { dimensions.first ?? 1 }

  /// Elements in one step of the outermost extent: the product of the other extents.
  public var rowElementCount: Int { dimensions.dropFirst().reduce(1, *) }

  /// The bytes that the tensor takes at an element type.
  ///
  /// - Throws: `TensorsError.elementCountOverflows` when the byte count does not fit in `Int`.
  public func byteCount(of dtype: DType) throws(TensorsError) -> Int {
    let (bytes, overflow) = elementCount.multipliedReportingOverflow(by: dtype.bytes)
    guard !overflow else { throw .elementCountOverflows(dimensions) }
    return bytes
  }

  public var description: String {
    dimensions.isEmpty ? "scalar" : dimensions.map(String.init).joined(separator: " × ")
  }
}

extension Shape: ExpressibleByArrayLiteral {
  public init(arrayLiteral elements: Int...) { self.init(elements) }
}
