import Tensors

/// What is done to rows before a weight's parts multiply them: T, then rounding.
///
/// Readers of one input that ask for the same share it: `isSame(as:)`.
public struct InputPreparation: Sendable {
  public let site: Site
  public let width: Int
  /// Inputs that are not rounded and do not count for ranges: those whose columns the weight keeps
  /// in high precision (LLM.int8()).
  public let exactColumns: [Int]

  /// Nil when rows go in as they are.
  public init?(_ weight: CompressedWeight) {
    guard let site = weight.site, !site.transforms.isEmpty || site.activations != nil else {
      return nil
    }
    self.site = site
    width = weight.columns
    exactColumns = site.activations == nil ? [] : weight.outliers?.columnNumbers ?? []
  }

  /// Q(T(x)) for rows of inputs, `count × width`.
  public func prepared(_ x: UnsafePointer<Float>, rows count: Int) -> Matrix<Float> {
    var inputs = Matrix<Float>(rows: count, columns: width) { target in
      target.baseAddress?.initialize(from: x, count: count * width)
    }
    if !site.transforms.isEmpty { site.apply(to: &inputs) }
    guard let activations = site.activations else { return inputs }
    inputs.values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      round(start, rows: count, activations)
    }
    return inputs
  }

  private func round(
    _ x: UnsafeMutablePointer<Float>, rows count: Int, _ scheme: ActivationScheme
  ) {
    guard !exactColumns.isEmpty else {
      scheme.apply(x, rows: count, width: width)
      return
    }
    var kept: [Float] = []
    kept.reserveCapacity(count * exactColumns.count)
    for row in 0..<count {
      for column in exactColumns {
        kept.append(x[row * width + column])
        x[row * width + column] = 0
      }
    }
    scheme.apply(x, rows: count, width: width)
    var next = 0
    for row in 0..<count {
      for column in exactColumns {
        x[row * width + column] = kept[next]
        next += 1
      }
    }
  }

  /// Whether another reader's inputs are prepared in the same way.
  public func isSame(as other: InputPreparation) -> Bool {
    width == other.width && exactColumns == other.exactColumns && site.isSame(as: other.site)
  }
}

extension Site {
  /// Whether another site does the same to its inputs: kinds and values, not where they are stored.
  public func isSame(as other: Site) -> Bool {
    activations == other.activations && transforms.count == other.transforms.count
      && zip(transforms, other.transforms).allSatisfy { one, two in
        guard one.kind == two.kind, one.payload.bytes.count == two.payload.bytes.count else {
          return false
        }
        return one.payload.bytes === two.payload.bytes
          || one.payload.bytes.withBuffer { first in
            two.payload.bytes.withBuffer { first.elementsEqual($0) }
          }
      }
  }
}
