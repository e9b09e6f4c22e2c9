import LinearAlgebra
import Tensors

/// A randomized Hadamard rotation of an input, x·Q, that no neighbour could take.
public struct HadamardTransform: Sendable {
  public let rotation: HadamardRotation
  /// ±1, i8, one an input: what is stored, beside the structure's numbers.
  public let signs: Tensor

  public init(_ rotation: HadamardRotation) {
    self.rotation = rotation
    signs = Tensor(dtype: .i8, shape: [rotation.width], array: rotation.signs)
  }

  /// A transform as it was stored.
  ///
  /// - Parameter part: what errors name.
  /// - Throws: `WeightsError` for signs that are no signs, and a structure that there is none of.
  init(signs: Tensor, factor: Int, power: Int, part: String) throws(WeightsError) {
    let width = signs.shape.elementCount
    try signs.check(part: part, types: [.i8], shape: [width])
    let values = signs.bytes.array(of: Int8.self)
    if let index = values.firstIndex(where: { $0 != 1 && $0 != -1 }) {
      throw .attribute(
        part: part, name: "hadamard[\(index)]", expected: "1 or -1", found: "\(values[index])")
    }
    let (order, overflow) = factor.multipliedReportingOverflow(by: power)
    guard factor >= 1, power >= 1, !overflow, width > 0, width % order == 0,
      let structure = try? HadamardRotation.Structure(
        blocks: width / order, factor: factor, power: power)
    else {
      throw .attribute(
        part: part, name: "factor, power", expected: "a Hadamard order that divides \(width)",
        found: "\(factor) × \(power)")
    }
    rotation = HadamardRotation(structure: structure, signs: values)
    self.signs = signs
  }
}
