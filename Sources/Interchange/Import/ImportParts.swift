import Checkpoints
import Tensors
import Weights

/// The tensors of one module in another tool's folder.
struct ImportParts {
  let module: String
  let source: any TensorSource
  let byName: [String: TensorDescription]

  func has(_ part: String) -> Bool { byName[module + part] != nil }

  func shape(_ part: String) throws -> [Int] { try described(part).shape.dimensions }

  func dtype(_ part: String) throws -> DType { try described(part).dtype }

  /// A part's 32-bit words, of a shape.
  func words(_ part: String, shape: [Int]) throws -> [UInt32] {
    try load(part, types: [.i32, .u32], shape: shape).bytes.array(of: UInt32.self)
  }

  /// A part's bytes, of a type and shape.
  func bytes(_ part: String, type: DType, shape: [Int]) throws -> Bytes {
    try load(part, types: [type], shape: shape).bytes
  }

  /// The shapes that tools give a single number.
  static let ofOne: [[Int]] = [[1], [], [1, 1]]

  /// A part that holds numbers, of one of some shapes.
  func floats(_ part: String, shapes: [[Int]]) throws -> (values: [Float], dtype: DType) {
    let description = try described(part)
    guard shapes.contains(description.shape.dimensions), description.dtype.isFloatingPoint else {
      throw malformed(part, description, "floating-point numbers of " + Self.listed(shapes))
    }
    return (try source.load(description).floats(), description.dtype)
  }

  /// A single number.
  func float(_ part: String) throws -> Float { try floats(part, shapes: Self.ofOne).values[0] }

  /// A part's bytes, of a type and one of some shapes.
  func bytes(_ part: String, type: DType, shapes: [[Int]]) throws -> Bytes {
    let description = try described(part)
    guard description.dtype == type, shapes.contains(description.shape.dimensions) else {
      throw malformed(part, description, "\(type.rawValue) of " + Self.listed(shapes))
    }
    return try source.load(description).bytes
  }

  private static func listed(_ shapes: [[Int]]) -> String {
    shapes.map { "\($0)" }.joined(separator: " or ")
  }

  func integers(_ part: String, shape: [Int]) throws -> [Int] {
    let description = try described(part)
    guard description.shape.dimensions == shape else {
      throw malformed(part, description, "integers of \(shape)")
    }
    let tensor = try source.load(description)
    switch description.dtype {
    case .i32: return tensor.bytes.array(of: Int32.self).map(Int.init)
    case .i64: return tensor.bytes.array(of: Int64.self).map(Int.init)
    default: throw malformed(part, description, "32- or 64-bit integers")
    }
  }

  /// The order that a part's groups of inputs ask for; nil where they lie together.
  func order(_ part: String, _ columns: Int, length: Int) throws -> InputOrder? {
    try InputOrder(groups: try integers(part, shape: [columns]), length: length) {
      .malformed(path: source.path, item: module + part, found: $0, expected: $1)
    }
  }

  /// Makes sure that a weight put together from the parts can stand in an artefact.
  func check(_ weight: CompressedWeight) throws(InterchangeError) {
    do {
      try weight.validate()
    } catch {
      throw .malformed(
        path: source.path, item: module, found: "\(error)", expected: "codes and positive scales")
    }
  }

  private func load(_ part: String, types: [DType], shape: [Int]) throws -> Tensor {
    let description = try described(part)
    guard types.contains(description.dtype), description.shape.dimensions == shape else {
      throw malformed(part, description, "\(types[0].rawValue) of \(shape)")
    }
    return try source.load(description)
  }

  private func described(_ part: String) throws(InterchangeError) -> TensorDescription {
    guard let tensor = byName[module + part] else {
      throw .malformed(
        path: source.path, item: module + part, found: "nothing", expected: "a tensor")
    }
    return tensor
  }

  private func malformed(
    _ part: String, _ found: TensorDescription, _ expected: String
  ) -> InterchangeError {
    .malformed(
      path: source.path, item: module + part,
      found: "\(found.dtype.rawValue) of \(found.shape.dimensions)", expected: expected)
  }
}
