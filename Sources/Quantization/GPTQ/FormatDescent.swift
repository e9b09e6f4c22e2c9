import LinearAlgebra
import Tensors
import Weights

/// Learned rounding on grids of any format: `CodeDescent` for those that are no integers.
///
/// With the other entries as they are, the best value of one is ŵ_j + (D·H)_j / H_jj, D = W − Ŵ;
/// its code is the nearest. A block of inputs has its part of D·H at hand; what it changed goes to
/// the others as one product.
struct FormatDescent: Sendable {
  let grids: ColumnGrids
  let target: Matrix<Float>
  let mask: Mask?
  let gram: NormalizedGram
  /// Visits of every entry.
  let passes: Int

  private static let block = 64
  private static let tileRows = 64

  /// The codes that a descent from `codes` ends with, rows × columns, one a byte.
  ///
  /// No row ends worse but for rounding; the same with any number of workers.
  func codes(from codes: [UInt8], pool: WorkerPool) -> [UInt8] {
    let tiles = (target.rows + Self.tileRows - 1) / Self.tileRows
    let parts =
      (try? pool.map(tiles) { (tile: Int) throws -> [UInt8] in
        run(rows: tile * Self.tileRows..<min((tile + 1) * Self.tileRows, target.rows), codes)
      }) ?? []
    return parts.flatMap { $0 }
  }

  private func run(rows: Range<Int>, _ all: [UInt8]) -> [UInt8] {
    let (count, columns) = (rows.count, target.columns)
    var codes = Array(all[rows.lowerBound * columns..<rows.upperBound * columns])
    // Inputs first: a column's rows lie side by side.
    var differences = [Float](repeating: 0, count: columns * count)
    for (index, row) in rows.enumerated() {
      for column in 0..<columns where isKept(row, column) {
        differences[column * count + index] =
          target[row, column]
          - grids.value(of: codes[index * columns + column], row: row, column: column)
      }
    }
    var products = [Float](repeating: 0, count: columns * count)
    multiply(0..<columns, 0..<columns, differences, into: &products, count: count, beta: 0)
    var changes = [Float](repeating: 0, count: Self.block * count)
    for _ in 0..<passes {
      var hasChanged = false
      for first in stride(from: 0, to: columns, by: Self.block) {
        let block = first..<min(first + Self.block, columns)
        let moved = visit(block, rows: rows, &codes, &products, &changes)
        guard moved else { continue }
        hasChanged = true
        for others in [0..<block.lowerBound, block.upperBound..<columns] {
          multiply(others, block, changes, into: &products, count: count, beta: 1)
        }
      }
      if !hasChanged { break }
    }
    return codes
  }

  private func isKept(_ row: Int, _ column: Int) -> Bool { mask?.isKept(row, column) ?? true }

  /// One block's entries; `changes` gets what their differences changed by.
  private func visit(
    _ block: Range<Int>, rows: Range<Int>, _ codes: inout [UInt8], _ products: inout [Float],
    _ changes: inout [Float]
  ) -> Bool {
    let (count, columns) = (rows.count, target.columns)
    var hasMoved = false
    for column in block {
      let start = (column - block.lowerBound) * count
      let energy = gram.values[column, column]
      var hasChanged = false
      for (index, row) in rows.enumerated() {
        changes[start + index] = 0
        guard energy > 0, isKept(row, column) else { continue }
        let place = index * columns + column
        let old = grids.value(of: codes[place], row: row, column: column)
        let code = grids.code(
          of: old + products[column * count + index] / energy, row: row, column: column)
        guard code != codes[place] else { continue }
        codes[place] = code
        changes[start + index] = old - grids.value(of: code, row: row, column: column)
        hasChanged = true
      }
      guard hasChanged else { continue }
      hasMoved = true
      products.withUnsafeMutableBufferPointer { products in
        changes.withUnsafeBufferPointer { changes in
          for other in block {
            let share = gram.values[other, column]
            for index in 0..<count {
              products[other * count + index] += share * changes[start + index]
            }
          }
        }
      }
    }
    return hasMoved
  }

  /// products[to] = β·products[to] + H[to, from]·values, values being those of `from` alone.
  private func multiply(
    _ to: Range<Int>, _ from: Range<Int>, _ values: [Float], into products: inout [Float],
    count: Int, beta: Float
  ) {
    guard !to.isEmpty, !from.isEmpty, count > 0 else { return }
    let columns = target.columns
    products.withUnsafeMutableBufferPointer { products in
      values.withUnsafeBufferPointer { values in
        gram.values.values.withUnsafeBufferPointer { gram in
          guard let p = products.baseAddress, let v = values.baseAddress,
            let h = gram.baseAddress
          else { return }
          BLAS.gemm(
            m: to.count, n: count, k: from.count, alpha: 1,
            a: h + to.lowerBound * columns + from.lowerBound, lda: columns, transposeA: false,
            b: v, ldb: count, transposeB: false, beta: beta,
            c: p + to.lowerBound * count, ldc: count)
        }
      }
    }
  }
}
