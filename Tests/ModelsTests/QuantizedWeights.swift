import Architectures
import Models
import Tensors
import Weights

/// Another provider's linear layers rounded to a grid, as codes or decoded again.
struct QuantizedWeights: WeightProvider {
  let base: any WeightProvider
  let scheme: IntegerScheme
  let decoded: Bool

  var description: ModelDescription { base.description }

  func weight(_ linear: LinearDescription) throws -> CompressedWeight {
    guard case .dense(let dense)? = try base.weight(linear).base else {
      throw ModelError.noTensor(name: linear.weight, path: "dense weights")
    }
    let matrix = Matrix(
      rows: linear.outputs, columns: linear.inputs, values: dense.values.floats())
    let weight = CompressedWeight(
      view: linear.view, base: .integer(try .roundToNearest(matrix, scheme: scheme)))
    guard decoded else { return weight }
    return CompressedWeight(
      view: linear.view,
      base: .dense(
        DenseBase(
          values: Tensor(
            dtype: .f32, shape: [linear.outputs, linear.inputs], array: weight.decoded().values)))
    )
  }

  func vector(_ name: String, count: Int) throws -> [Float] {
    try base.vector(name, count: count)
  }

  func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
    try base.table(name, rows: rows, columns: columns)
  }
}
