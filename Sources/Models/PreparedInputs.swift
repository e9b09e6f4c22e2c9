import Tensors
import Weights

/// Rows of inputs, and what is to be done to them before a weight multiplies them.
struct PreparedInputs {
  let preparation: InputPreparation?
  let x: UnsafePointer<Float>
  let rows: Int

  /// Calls a body with where each one's prepared rows lie; what needs nothing stays where it is.
  static func with(
    _ inputs: ArraySlice<PreparedInputs>, _ done: [UnsafePointer<Float>] = [],
    _ body: ([UnsafePointer<Float>]) -> Void
  ) {
    guard let first = inputs.first else { return body(done) }
    guard let preparation = first.preparation, first.rows > 0 else {
      return with(inputs.dropFirst(), done + [first.x], body)
    }
    preparation.prepared(first.x, rows: first.rows).values.withUnsafeBufferPointer { values in
      guard let start = values.baseAddress else { return }
      with(inputs.dropFirst(), done + [start], body)
    }
  }
}
