import Checkpoints
import Synchronization
import Tensors

/// What becomes of one tensor of a narrowed model.
enum NarrowedTensor: Sendable {
  /// Some of its rows (elements of a vector), in this order.
  case rows([Int])
  /// Other values, made when they are first asked for.
  case made(rows: Int, columns: Int, @Sendable () throws -> Matrix<Float>)
}

/// A model without some of its channels, heads and blocks: another source's tensors, fewer and
/// smaller.
struct NarrowedSource: TensorSource {
  let base: any TensorSource
  let tensors: [TensorDescription]
  let metadata: CheckpointMetadata
  /// By the new name: the tensor behind it.
  private let origins: [String: TensorDescription]
  /// By the old name.
  private let changes: [String: NarrowedTensor]
  private let made = MadeMatrices()

  var path: String { base.path }
  var format: String { base.format }
  var skipped: [SkippedObject] { base.skipped }

  /// - Parameters:
  ///   - changes: by the tensors' names in `base`.
  ///   - renamed: the new name of each tensor that stays; nil where it leaves.
  ///   - configuration: the text of config.json from now on.
  init(
    _ base: any TensorSource, changes: [String: NarrowedTensor], configuration: String,
    renamed: (String) -> String?
  ) {
    self.base = base
    self.changes = changes
    var origins: [String: TensorDescription] = [:]
    var list: [TensorDescription] = []
    for tensor in base.tensors {
      guard let name = renamed(tensor.name) else { continue }
      origins[name] = tensor
      var dimensions = tensor.shape.dimensions
      var dtype = tensor.dtype
      switch changes[tensor.name] {
      case .rows(let rows)?: dimensions[0] = rows.count
      case .made(let rows, let columns, _)?:
        dimensions = [rows, columns]
        // Corrected values are new ones; half-precision models keep their type.
        dtype = [.f16, .bf16].contains(tensor.dtype) ? tensor.dtype : .f32
      case nil: break
      }
      let isSame = changes[tensor.name] == nil
      list.append(
        TensorDescription(
          name: name, dtype: dtype, shape: Shape(dimensions),
          storage: isSame ? tensor.storage : .encoded("narrowed"),
          sharesStorageWith: isSame ? tensor.sharesStorageWith.flatMap(renamed) : nil,
          attributes: tensor.attributes))
    }
    self.origins = origins
    tensors = list
    var metadata = base.metadata
    metadata.configuration = configuration
    self.metadata = metadata
  }

  func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let origin = origins[tensor.name] ?? tensor
    switch changes[origin.name] {
    case nil:
      try base.read(origin, rows: rows, into: target)
    case .rows(let kept)?:
      let length = tensor.rowByteCount
      for (index, row) in rows.enumerated() {
        try base.read(
          origin, rows: kept[row]..<kept[row] + 1,
          into: UnsafeMutableRawBufferPointer(
            rebasing: target[index * length..<(index + 1) * length]))
      }
    case .made(_, let columns, let make)?:
      let values = try made.values(of: tensor.name) { () throws(CheckpointError) in
        do { return try make().values } catch let error as CheckpointError {
          throw error
        } catch {
          throw .cannotRead(path: path, offset: 0, reason: "'\(tensor.name)': \(error)")
        }
      }
      let range = rows.lowerBound * columns..<rows.upperBound * columns
      values[range].withUnsafeBufferPointer { buffer in
        // The type is one that the encoder knows: the initializer chose it.
        try? FloatConversion.encode(buffer, as: tensor.dtype, into: target)
      }
    }
  }

  func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    let origin = origins[tensor.name] ?? tensor
    guard changes[origin.name] == nil else { return nil }
    return try base.mapped(origin)
  }
}

/// The last few matrices that were made.
private final class MadeMatrices: Sendable {
  private let kept = Mutex<[(name: String, values: [Float])]>([])
  /// Jobs of a few workers read their tensors side by side.
  private static let limit = 2

  func values(
    of name: String, make: () throws(CheckpointError) -> [Float]
  ) throws(CheckpointError) -> [Float] {
    if let found = kept.withLock({ $0.first { $0.name == name }?.values }) { return found }
    let values = try make()
    kept.withLock { kept in
      if kept.count >= Self.limit { kept.removeFirst() }
      kept.append((name, values))
    }
    return values
  }
}
