import Tensors

/// A randomized Hadamard rotation of rows, x ← x·Q with Q orthogonal.
///
/// Q = diag(±1) · (I_blocks ⊗ H_factor ⊗ H_power) / √(factor · power), optionally followed by a
/// reflection P that makes 1·Q = 1. H_power is Sylvester's, H_factor Paley's. (1) Q·Qᵀ = I;
/// (2) the same seed gives the same Q on every machine; (3) with `fixesMean` the mean of a row is
/// the mean of x·Q, so that a LayerNorm's statistics commute with Q.
public struct HadamardRotation: Sendable, Hashable {
  /// What of the width is spread over what.
  public struct Structure: Sendable, Hashable {
    /// Equal parts that do not mix.
    public let blocks: Int
    /// The order of the factor that is no power of two; 1 when there is none.
    public let factor: Int
    /// The power of two.
    public let power: Int

    /// - Throws: `LinearAlgebraError.parameterOutOfRange` for an order that no construction gives.
    public init(blocks: Int, factor: Int, power: Int) throws(LinearAlgebraError) {
      guard blocks > 0, power > 0, power & (power - 1) == 0 else {
        throw .notPowerOfTwo(routine: "HadamardRotation", size: power)
      }
      guard factor == 1 || (factor <= 4096 && PaleyMatrix.exists(order: factor)) else {
        throw .parameterOutOfRange(
          routine: "HadamardRotation", name: "factor", value: "\(factor)",
          allowed: "1 or an order of Paley's constructions")
      }
      self.init(unchecked: blocks, factor, power)
    }

    private init(unchecked blocks: Int, _ factor: Int, _ power: Int) {
      self.blocks = blocks
      self.factor = factor
      self.power = power
    }

    /// The widest mixing that a width allows: all of it, or blocks of its largest power of two.
    ///
    /// The factor is the smallest multiple of the width's odd part by a power of two, up to 256,
    /// that Paley's constructions reach (12, 20, 28, 36, 44 …).
    public static func spanning(_ width: Int) -> Structure {
      precondition(width > 0, "a width of \(width)")
      let power = width & -width
      let odd = width / power
      guard odd > 1 else { return Structure(unchecked: 1, 1, power) }
      var factor = odd
      while factor <= 256, width % factor == 0 {
        if PaleyMatrix.exists(order: factor) {
          return Structure(unchecked: 1, factor, width / factor)
        }
        factor *= 2
      }
      return Structure(unchecked: odd, 1, power)
    }

    /// The order of one block.
    public var order: Int { factor * power }
    public var width: Int { blocks * order }
  }

  public let structure: Structure
  /// ±1, `width` of them.
  public let signs: [Int8]
  public let fixesMean: Bool
  /// Row-major ±1, `factor × factor`; empty when the factor is 1.
  private let factor: [Int8]
  /// The reflection's unit vector; empty when there is none.
  private let mirror: [Double]

  public var width: Int { structure.width }

  /// A rotation of given signs; their number is the structure's width.
  public init(structure: Structure, signs: [Int8], fixesMean: Bool = false) {
    precondition(signs.count == structure.width, "\(signs.count) signs for \(structure.width)")
    self.structure = structure
    self.signs = signs
    self.fixesMean = fixesMean
    factor = structure.factor == 1 ? [] : PaleyMatrix.entries(order: structure.factor) ?? []
    mirror = fixesMean ? Self.mirror(structure, signs, factor) : []
  }

  /// A rotation with random signs.
  ///
  /// - Parameter stream: tells rotations of one seed apart.
  public init(
    structure: Structure, seed: UInt64, stream: UInt32 = 0, fixesMean: Bool = false
  ) {
    let random = Philox(seed: seed)
    var signs: [Int8] = []
    signs.reserveCapacity(structure.width + 128)
    var block: UInt32 = 0
    while signs.count < structure.width {
      let words = random.block(elementBlock: block, tensor: stream, purpose: .rotation)
      for word in 0..<4 {
        for bit in 0..<32 { signs.append(words[word] >> UInt32(bit) & 1 == 0 ? 1 : -1) }
      }
      block &+= 1
    }
    signs.removeLast(signs.count - structure.width)
    self.init(structure: structure, signs: signs, fixesMean: fixesMean)
  }

  /// x ← x·Q for every row, or x·Qᵀ.
  public func apply<S: BLASScalar>(
    to matrix: inout Matrix<S>, inverse: Bool = false
  ) {
    let (rows, columns) = (matrix.rows, matrix.columns)
    precondition(columns == width, "\(columns) columns for a rotation of \(width)")
    matrix.values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      apply(to: start, rows: rows, inverse: inverse)
    }
  }

  /// x ← x·Q for `rows` contiguous rows of `width`, or x·Qᵀ.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  public func apply<S: BLASScalar>(
    to values: UnsafeMutablePointer<S>, rows: Int, inverse: Bool = false
  ) {
    withUnsafeTemporaryAllocation(of: S.self, capacity: structure.order) { scratch in
      guard let scratch = scratch.baseAddress else { return }
      for row in 0..<rows {
        let x = values + row * width
        if inverse {
          reflect(x)
          mix(x, scratch, transposed: true)
          sign(x)
        } else {
          sign(x)
          mix(x, scratch, transposed: false)
          reflect(x)
        }
      }
    }
  }

  private func sign<S: BLASScalar>(_ x: UnsafeMutablePointer<S>) {
    for index in 0..<width where signs[index] < 0 { x[index] = -x[index] }
  }

  private func mix<S: BLASScalar>(
    _ x: UnsafeMutablePointer<S>, _ scratch: UnsafeMutablePointer<S>, transposed: Bool
  ) {
    Self.mix(x, scratch, structure, factor, transposed: transposed)
  }

  /// Each block as a `factor × power` matrix X: X ← H_factorᵀ · X · H_power, both normalised.
  private static func mix<S: BLASScalar>(
    _ x: UnsafeMutablePointer<S>, _ scratch: UnsafeMutablePointer<S>, _ structure: Structure,
    _ factor: [Int8], transposed: Bool
  ) {
    let (order, power) = (structure.factor, structure.power)
    for block in 0..<structure.blocks {
      let part = x + block * structure.order
      for line in 0..<order { Hadamard.transform(part + line * power, count: power) }
      guard order > 1 else { continue }
      let scale = 1 / S(order).squareRoot()
      scratch.update(repeating: 0, count: order * power)
      for row in 0..<order {
        let target = scratch + row * power
        for other in 0..<order {
          let entry = transposed ? factor[row * order + other] : factor[other * order + row]
          let source = part + other * power
          if entry > 0 {
            for index in 0..<power { target[index] += source[index] }
          } else {
            for index in 0..<power { target[index] -= source[index] }
          }
        }
      }
      for index in 0..<order * power { part[index] = scratch[index] * scale }
    }
  }

  private func reflect<S: BLASScalar>(_ x: UnsafeMutablePointer<S>) {
    guard !mirror.isEmpty else { return }
    var dot = 0.0
    for index in 0..<width { dot += Double(x[index]) * mirror[index] }
    for index in 0..<width { x[index] = S(Double(x[index]) - 2 * dot * mirror[index]) }
  }

  /// The Householder vector that takes u·Q back to u, u = 1/√n; none when u·Q is u already.
  private static func mirror(
    _ structure: Structure, _ signs: [Int8], _ factor: [Int8]
  ) -> [Double] {
    let unit = 1 / Double(structure.width).squareRoot()
    var image = signs.map { Double($0) * unit }
    var scratch = [Double](repeating: 0, count: structure.order)
    mix(&image, &scratch, structure, factor, transposed: false)
    let difference = image.map { $0 - unit }
    let norm = difference.reduce(0) { $0 + $1 * $1 }.squareRoot()
    guard norm > 1e-12 else { return [] }
    return difference.map { $0 / norm }
  }
}
