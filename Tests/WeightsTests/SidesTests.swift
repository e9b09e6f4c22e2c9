import LinearAlgebra
import Tensors
import Testing

@testable import Weights

/// Products of weights that hold the same codes.
@Suite struct SidesTests {
  /// The same weight under other scales and, on an asymmetric grid, other zero points.
  static func moved(_ weight: CompressedWeight) throws -> CompressedWeight {
    guard case .integer(let base)? = weight.base else { return weight }
    var result = weight
    let grid = IntegerGrid(
      bits: base.grid.bits, symmetric: base.grid.symmetric, granularity: base.grid.granularity,
      scaleType: .f32)
    let scales = base.scales.floats().enumerated().map { $1 * (1 + 0.01 + Float($0 % 5) * 0.01) }
    let zeros = try base.zeros.map { zeros in
      Tensor(
        dtype: .u8, shape: zeros.shape,
        array: try IntegerBase.roundToNearest(
          Sample.matrix(weight.rows, weight.columns, seed: 9),
          scheme: IntegerScheme(
            bits: grid.bits, symmetric: false, granularity: grid.granularity, clip: .none)
        ).zeros?.bytes.array(of: UInt8.self) ?? [])
    }
    result.base = .integer(
      IntegerBase(
        grid: grid, rows: base.rows, columns: base.columns, codes: base.codes,
        scales: Tensor(dtype: .f32, shape: base.scales.shape, array: scales), zeros: zeros))
    return result
  }

  static func products(
    _ weights: [CompressedWeight], _ inputs: [Matrix<Float>], together: Bool, pool: WorkerPool,
    arithmetic: ProductArithmetic = .f32
  ) -> [[Float]] {
    let products = zip(weights, inputs).map { weight, x in
      let from = UnsafeMutablePointer<Float>.allocate(capacity: x.values.count)
      from.initialize(from: x.values, count: x.values.count)
      let to = UnsafeMutablePointer<Float>.allocate(capacity: x.rows * weight.rows)
      to.initialize(repeating: .nan, count: x.rows * weight.rows)
      return WeightProduct(weight, from, rows: x.rows, into: to)
    }
    if together {
      CompressedWeight.multiplyTransformed(products, arithmetic: arithmetic, pool: pool)
    } else if arithmetic != .f32 {
      for product in products {
        CompressedWeight.multiplyTransformed([product], arithmetic: arithmetic, pool: pool)
      }
    } else {
      for product in products {
        product.weight.multiplyTransformed(
          product.x, rows: product.rows, into: product.y, pool: pool)
      }
    }
    return products.map { product in
      defer {
        product.x.deallocate()
        product.y.deallocate()
      }
      return Array(UnsafeBufferPointer(start: product.y, count: product.rows * product.weight.rows))
    }
  }

  /// (1) Sides that go together have the bits of each by itself, with any parts, any number of
  /// rows and workers; (2) they are different sides.
  @Test func sidesTogetherAreEachByItself() throws {
    for weight in try WeightFixture.all() {
      let sides = [weight, try Self.moved(weight)]
      for rows in [(3, 3), (20, 20), (70, 33)] {
        let inputs = [
          Sample.matrix(rows.0, weight.columns, seed: 21),
          Sample.matrix(rows.1, weight.columns, seed: 22),
        ]
        let alone = Self.products(sides, inputs, together: false, pool: .serial)
        for workers in [1, 2] {
          let pool = WorkerPool(workers: workers)
          #expect(Self.products(sides, inputs, together: true, pool: pool) == alone)
        }
        guard case .integer? = weight.base else { continue }
        let still = Self.products([weight, weight], inputs, together: true, pool: .serial)
        #expect(still[0] == alone[0] && still[1] != alone[1])
      }
    }
  }

  /// Wider and taller than one packed piece; what a tile's codes decode to is multiplied.
  @Test(arguments: [2, 3, 4, 5, 8]) func manyPieces(bits: Int) throws {
    let (rows, columns) = (300, 1280)
    let base = Base.integer(
      try IntegerBase.roundToNearest(
        Sample.matrix(rows, columns),
        scheme: IntegerScheme(bits: bits, symmetric: false, granularity: .group(64), clip: .none)))
    let weight = CompressedWeight(view: WeightView(rows: rows, columns: columns), base: base)
    let sides = [weight, try Self.moved(weight)]
    let inputs = [1, 2].map { Sample.matrix(40, columns, seed: UInt64($0)) }
    let found = Self.products(sides, inputs, together: true, pool: .serial)
    #expect(found == Self.products(sides, inputs, together: false, pool: .serial))
    for (side, (x, y)) in zip(sides, zip(inputs, found)) {
      let dense = CompressedWeight(view: weight.view, base: .dense(side.decoded()))
      let expected = Self.products([dense], [x], together: false, pool: .serial)[0]
      if RowProduct.isExact {
        #expect(y == expected)
      } else {
        #expect(zip(y, expected).allSatisfy { abs($0 - $1) < 1e-3 })
      }
    }
  }

  /// In 16-bit arithmetic (1) sides together are each by itself, with any rows and workers; (2) an
  /// output is off by no more than inputs that are off by 2⁻¹⁶ of their run's largest allow, where
  /// codes are integers, and is f32's where they are not.
  @Test func narrowSides() throws {
    var narrow = 0
    let wide = try [true, false].map { try Self.wide(symmetric: $0) }
    for weight in try WeightFixture.all() + wide {
      let sides = [weight, try Self.moved(weight)]
      for rows in [(3, 3), (70, 33)] {
        let inputs = [
          Sample.matrix(rows.0, weight.columns, seed: 21),
          Sample.matrix(rows.1, weight.columns, seed: 22),
        ]
        let alone = Self.products(
          sides, inputs, together: false, pool: .serial, arithmetic: .int16)
        for workers in [1, 2] {
          let pool = WorkerPool(workers: workers)
          #expect(
            Self.products(sides, inputs, together: true, pool: pool, arithmetic: .int16) == alone)
        }
        let full = Self.products(sides, inputs, together: false, pool: .serial)
        guard case .integer(let base)? = weight.base, weight.mask == nil,
          base.narrowChunk != nil, RowProduct.isExact
        else {
          #expect(alone == full)
          continue
        }
        narrow += 1
        for (side, (x, (found, expected))) in zip(sides, zip(inputs, zip(alone, full))) {
          #expect(found != expected)
          let dense = side.decoded()
          for row in 0..<x.rows {
            let largest = (0..<x.columns).map { abs(x[row, $0]) }.max() ?? 0
            for output in 0..<dense.rows {
              let sum = (0..<x.columns).reduce(Float(0)) { $0 + abs(dense[output, $1]) }
              let place = row * dense.rows + output
              #expect(abs(found[place] - expected[place]) <= largest * sum * 0x1p-15)
            }
          }
        }
      }
    }
    #expect(narrow >= 4)
  }

  /// Wider and taller than one packed piece.
  static func wide(symmetric: Bool) throws -> CompressedWeight {
    let (rows, columns) = (300, 1280)
    return CompressedWeight(
      view: WeightView(rows: rows, columns: columns),
      base: .integer(
        try IntegerBase.roundToNearest(
          Sample.matrix(rows, columns),
          scheme: IntegerScheme(
            bits: 4, symmetric: symmetric, granularity: .group(symmetric ? 32 : 64),
            clip: .none))))
  }
}
