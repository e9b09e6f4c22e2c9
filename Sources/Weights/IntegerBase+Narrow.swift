import Kernels
import LinearAlgebra
import Tensors

/// Rows of inputs as 16-bit integers.
enum NarrowInputs {
  /// Kept between products: a fresh page costs more than what goes into it.
  private static let memory = ScratchMemory()
  /// Rows that are rounded at a time.
  private static let tileRows = 64

  /// Calls a body with each product's rounded inputs.
  static func with(
    _ products: [IntegerProduct], chunk: Int, pool: WorkerPool, _ body: ([PithNarrowRows]) -> Void
  ) {
    let columns = products[0].base.columns
    let chunks = columns / chunk
    // Two values take the room of one number.
    let rowWords = columns / 2 + chunks
    memory.with(products.reduce(0) { $0 + $1.rows * rowWords }) { start in
      var place = start
      var inputs: [PithNarrowRows] = []
      for product in products {
        let scales = place + product.rows * columns / 2
        let values = UnsafeMutableRawPointer(place).assumingMemoryBound(to: Int16.self)
        // Disjoint rows.
        nonisolated(unsafe) let (x, to, toScales) = (product.x, values, scales)
        pool.forEach((product.rows + tileRows - 1) / tileRows) { (tile: Int) -> Void in
          let first = tile * tileRows
          pith_narrow_rows(
            x + first * columns, min(tileRows, product.rows - first), columns, columns, chunk,
            to + first * columns, toScales + first * chunks)
        }
        inputs.append(
          PithNarrowRows(
            values: values, scales: scales, rows: product.rows, stride: columns,
            scales_stride: chunks))
        place += product.rows * rowWords
      }
      body(inputs)
    }
  }
}

/// Products in 16-bit arithmetic (`ProductArithmetic.int16`).
extension IntegerBase {
  /// Columns of the inputs under one scale; nil where groups or columns do not divide into them.
  var narrowChunk: Int? {
    let group = grid.groupLength(columns: columns)
    return [64, 32].first { columns > 0 && columns % $0 == 0 && group % $0 == 0 }
  }

  /// Whether another base with the same codes has the same zero points in the same place.
  func sharesZeros(with other: IntegerBase) -> Bool {
    zeros?.bytes.buffer.baseAddress == other.zeros?.bytes.buffer.baseAddress
  }

  /// Some outputs of the products of bases that share codes and zero points: a tile's codes are
  /// unpacked and packed once for all of them.
  ///
  /// The same bits for any number of bases, rows and outputs at once.
  static func multiplyNarrow(
    _ products: [IntegerProduct], _ inputs: [PithNarrowRows], chunk: Int, outputs range: Range<Int>
  ) {
    guard let first = products.first?.base, first.columns > 0 else { return }
    precondition(products.count <= mostSides, "\(products.count) sides at once")
    let columns = first.columns
    let weights = products.map(\.base.kernelRows)
    let held = RowProduct.packedOutputs
    // A word holds two columns' codes; scales take less than what that leaves.
    let codeWords = held * RowProduct.packedColumns / 2
    let stride = held * (RowProduct.packedColumns / chunk)
    RowProduct.withPanels { panels in
      let codes = UnsafeMutableRawPointer(panels).assumingMemoryBound(to: Int32.self)
      let scales = panels + codeWords
      for output in Swift.stride(from: range.lowerBound, to: range.upperBound, by: held) {
        let count = min(held, range.upperBound - output)
        for column in Swift.stride(from: 0, to: columns, by: RowProduct.packedColumns) {
          let deep = min(RowProduct.packedColumns, columns - column)
          pith_narrow_panels(
            weights, weights.count, output, count, column, deep, chunk, codes, scales, stride)
          for (index, product) in products.enumerated() {
            var x = inputs[index]
            x.values += column
            x.scales += column / chunk
            pith_narrow_product(
              codes, scales + index * stride, count, deep, chunk, x, product.y + output,
              first.rows, column > 0 ? 1 : 0)
          }
        }
      }
    }
    withExtendedLifetime(products) {}
  }
}
