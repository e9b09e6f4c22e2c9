/// Densities by the Erdős–Rényi kernel rule: small layers keep more.
///
/// Evci and others 2020, arXiv 1911.11134: density ∝ Σ extents / Π extents of each layer; layers
/// that would come out denser than 1 stay dense, and the rest makes up for them.
public enum ErdosRenyi {
  /// The fraction of entries that each layer keeps, so that all keep `density` together.
  ///
  /// - Parameters:
  ///   - shapes: each layer's extents (outputs, inputs and those of a kernel), none of them 0.
  ///   - density: above 0, up to 1; anything else is a bug of the caller, as is an empty layer.
  public static func densities(shapes: [[Int]], density: Double) -> [Double] {
    precondition(density > 0 && density <= 1, "a density of \(density)")
    precondition(shapes.allSatisfy { $0.allSatisfy { $0 > 0 } }, "an empty layer")
    let counts = shapes.map { Double($0.reduce(1, *)) }
    let rates = zip(shapes, counts).map { Double($0.0.reduce(0, +)) / $0.1 }
    var isDense = [Bool](repeating: false, count: shapes.count)
    while true {
      var room = 0.0
      var weight = 0.0
      for index in shapes.indices {
        room += counts[index] * (isDense[index] ? density - 1 : density)
        if !isDense[index] { weight += rates[index] * counts[index] }
      }
      guard weight > 0 else { return isDense.map { _ in 1 } }
      let scale = room / weight
      let steepest = shapes.indices.filter { !isDense[$0] }.map { rates[$0] }.max() ?? 0
      guard steepest * scale > 1 else {
        return shapes.indices.map { isDense[$0] ? 1 : rates[$0] * scale }
      }
      for index in shapes.indices where rates[index] == steepest { isDense[index] = true }
    }
  }
}
