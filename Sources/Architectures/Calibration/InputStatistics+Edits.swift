import Foundation
import LinearAlgebra
import Tensors

extension InputStatistics {
  /// The statistics of inputs that an edit changed, from those of the inputs before.
  ///
  /// Exact for scales and shifts but for maxima and absolute sums after a shift; after a rotation the
  /// sums, squares and Gram matrix are exact, absolute sums and maxima what a normal distribution of
  /// the same squares has: turned channels are close to one.
  public func changed(by change: SiteChange) -> InputStatistics {
    switch change {
    case .divide(let divisor): divided(by: divisor)
    case .shift(let shift): shifted(by: shift)
    case .rotate(let rotation): rotated(by: rotation)
    }
  }

  private func divided(by divisor: [Double]) -> InputStatistics {
    precondition(divisor.count == width, "\(divisor.count) divisors for \(width) inputs")
    let inverse = divisor.map { $0 == 0 ? 0 : 1 / $0 }
    func scaled(_ values: [Double], _ factors: [Double]) -> [Double] {
      zip(values, factors).map { $0 * $1 }
    }
    let sizes = inverse.map(abs)
    var gram = gram
    for row in 0..<(gram == nil ? 0 : width) {
      for column in 0..<width { gram?[row, column] *= inverse[row] * inverse[column] }
    }
    return InputStatistics(
      site: site, readers: readers, rows: rows, sums: scaled(sums, inverse),
      absoluteSums: scaled(absoluteSums, sizes),
      squareSums: scaled(squareSums, inverse.map { $0 * $0 }),
      maxima: zip(maxima, sizes).map { Float(Double($0) * $1) }, gram: gram)
  }

  private func shifted(by shift: [Double]) -> InputStatistics {
    precondition(shift.count == width, "\(shift.count) shifts for \(width) inputs")
    let count = Double(rows)
    var gram = gram
    for row in 0..<(gram == nil ? 0 : width) {
      for column in 0..<width {
        gram?[row, column] +=
          count * shift[row] * shift[column] - shift[row] * sums[column] - sums[row] * shift[column]
      }
    }
    let squares = (0..<width).map {
      max(0, squareSums[$0] - 2 * shift[$0] * sums[$0] + count * shift[$0] * shift[$0])
    }
    return InputStatistics(
      site: site, readers: readers, rows: rows,
      sums: zip(sums, shift).map { $0 - count * $1 },
      absoluteSums: squares.map { Self.normalAbsoluteSum(squares: $0, rows: rows) },
      squareSums: squares, maxima: zip(maxima, shift).map { $0 + Float(abs($1)) }, gram: gram)
  }

  private func rotated(by rotation: HadamardRotation) -> InputStatistics {
    precondition(rotation.width == width, "a rotation of \(rotation.width) for \(width) inputs")
    var mean = Matrix(rows: 1, columns: width, values: sums)
    rotation.apply(to: &mean)
    var squares = squareSums
    var turned = gram
    if var gram = turned {
      rotation.apply(to: &gram)
      gram = gram.transposed
      rotation.apply(to: &gram)
      // Equal in both halves again, to the last bit.
      for row in 0..<width {
        for column in 0..<row { gram[column, row] = gram[row, column] }
      }
      squares = (0..<width).map { max(0, gram[$0, $0]) }
      turned = gram
    } else {
      let average = squares.reduce(0, +) / Double(max(width, 1))
      squares = squares.map { _ in average }
    }
    let extent = (2 * log(max(Double(rows), 2))).squareRoot()
    return InputStatistics(
      site: site, readers: readers, rows: rows, sums: mean.values,
      absoluteSums: squares.map { Self.normalAbsoluteSum(squares: $0, rows: rows) },
      squareSums: squares,
      maxima: squares.map { Float(extent * ($0 / Double(max(rows, 1))).squareRoot()) },
      gram: turned)
  }

  /// Σ|x| of normal numbers around 0 with a sum of squares: √(2/π)·√(rows·Σx²).
  private static func normalAbsoluteSum(squares: Double, rows: Int) -> Double {
    (2 / Double.pi * squares * Double(rows)).squareRoot()
  }
}

extension CalibrationStatistics {
  /// The statistics of an edited model, from those of the model before.
  public func edited(by edit: ModelEdit) -> CalibrationStatistics {
    var result = self
    for (name, changes) in edit.siteChanges {
      // Files of other programs may name a site after another reader.
      let key = sites[name] != nil ? name : sites.first { $0.value.readers.contains(name) }?.key
      guard let key, var site = sites[key] else { continue }
      for change in changes { site = site.changed(by: change) }
      result.sites[key] = site
    }
    return result
  }
}
