import Checkpoints
import Synchronization
import Tensors

/// A model as an edit leaves it: another source's tensors, changed while they are read.
///
/// Tensors that change row by row are streamed like any other; one whose columns are turned is made
/// whole when its first row is asked for, and kept until another one is.
public struct TransformedSource: TensorSource {
  public let base: any TensorSource
  public let edit: ModelEdit
  public let tensors: [TensorDescription]
  public let metadata: CheckpointMetadata
  private let originals: [String: TensorDescription]
  private let made = MadeTensors()

  public var path: String { base.path }
  public var format: String { base.format }
  public var skipped: [SkippedObject] { base.skipped }

  /// - Throws: `ArchitectureError.missingTensors` when the edit changes tensors that are not there.
  public init(_ base: any TensorSource, edit: ModelEdit) throws(ArchitectureError) {
    self.base = base
    self.edit = edit
    let byName = Dictionary(base.tensors.map { ($0.name, $0) }) { first, _ in first }
    let wanted = Set(edit.operations.keys).subtracting(edit.copies.keys).union(edit.copies.values)
    let missing = wanted.filter { byName[$0] == nil }.sorted()
    guard missing.isEmpty else {
      throw .missingTensors(missing.map { MissingTensor(name: $0, shape: [], from: "the edit") })
    }
    var originals = byName
    var list = base.tensors
    for (name, source) in edit.copies.sorted(by: { $0.key < $1.key }) {
      guard let table = byName[source] else { continue }
      originals[name] = table
      let copy = TensorDescription(
        name: name, dtype: table.dtype, shape: table.shape, storage: .encoded("edited"))
      if let index = list.firstIndex(where: { $0.name == name }) {
        list[index] = copy
      } else {
        list.append(copy)
      }
    }
    self.originals = originals
    tensors = list.map { tensor in
      let isEdited = edit.operations[tensor.name] != nil
      // A second name for bytes that are changed, or changed otherwise, is a tensor of its own.
      let shares = tensor.sharesStorageWith.flatMap {
        isEdited || edit.operations[$0] != nil ? nil : $0
      }
      guard isEdited || shares != tensor.sharesStorageWith else { return tensor }
      return TensorDescription(
        name: tensor.name,
        dtype: isEdited ? edit.type(of: tensor) : tensor.dtype,
        shape: tensor.shape, storage: isEdited ? .encoded("edited") : tensor.storage,
        sharesStorageWith: shares, attributes: tensor.attributes)
    }
    var metadata = base.metadata
    if let configuration = edit.configuration { metadata.configuration = configuration }
    self.metadata = metadata
  }

  public func read(
    _ tensor: TensorDescription, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let original = originals[tensor.name] ?? tensor
    guard let operations = edit.operations[tensor.name] else {
      return try base.read(original, rows: rows, into: target)
    }
    if operations.allSatisfy(\.isRowwise) {
      let bytes = try edited(tensor, original, operations, rows: rows)
      bytes.withBuffer { target.copyMemory(from: $0) }
      return
    }
    let whole = try made.bytes(of: tensor.name) { () throws(CheckpointError) in
      try edited(tensor, original, operations, rows: 0..<tensor.shape.rows)
    }
    let start = rows.lowerBound * tensor.rowByteCount
    whole.withBuffer {
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + target.count]))
    }
  }

  public func mapped(_ tensor: TensorDescription) throws(CheckpointError) -> Bytes? {
    guard edit.operations[tensor.name] == nil else { return nil }
    return try base.mapped(originals[tensor.name] ?? tensor)
  }

  /// Memory that reading a tensor takes besides its bytes: values in f64, a turned copy, and what is
  /// kept of it.
  public func scratchBytes(of tensor: TensorDescription) -> Int {
    guard let operations = edit.operations[tensor.name] else { return 0 }
    let isWhole = !operations.allSatisfy(\.isRowwise)
    return isWhole ? tensor.shape.elementCount * 28 : 0
  }

  private func edited(
    _ tensor: TensorDescription, _ original: TensorDescription, _ operations: [TensorOperation],
    rows: Range<Int>
  ) throws(CheckpointError) -> Bytes {
    let columns = tensor.shape.rowElementCount
    let count = rows.count * columns
    let source = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(count * original.dtype.bytes, 1), alignment: 64)
    defer { source.deallocate() }
    let read = UnsafeMutableRawBufferPointer(rebasing: source[0..<count * original.dtype.bytes])
    try base.read(original, rows: rows, into: read)
    let floats = [Float](unsafeUninitializedCapacity: count) { target, initialized in
      FloatConversion.decode(
        UnsafeRawBufferPointer(read), as: original.dtype,
        into: UnsafeMutableBufferPointer(rebasing: target[0..<count]))
      initialized = count
    }
    var matrix = Matrix(rows: rows.count, columns: columns, values: floats.map(Double.init))
    for operation in operations { operation.apply(to: &matrix, rows: rows) }
    let values = matrix.values.map { Float($0) }
    return Bytes(count: count * tensor.dtype.bytes) { target in
      do {
        try values.withUnsafeBufferPointer {
          try FloatConversion.encode($0, as: tensor.dtype, into: target)
        }
      } catch { preconditionFailure("an edited tensor is of a plain floating-point type") }
    }
  }
}

extension TensorSource {
  /// The source beneath all edits.
  public var origin: any TensorSource { (self as? TransformedSource)?.base.origin ?? self }
}

/// The last few tensors that were made whole.
private final class MadeTensors: Sendable {
  private let kept = Mutex<[(name: String, bytes: Bytes)]>([])
  /// Jobs of a few workers read their tensors side by side.
  private static let limit = 2

  func bytes(
    of name: String, make: () throws(CheckpointError) -> Bytes
  ) throws(CheckpointError) -> Bytes {
    if let found = kept.withLock({ $0.first { $0.name == name }?.bytes }) { return found }
    let bytes = try make()
    kept.withLock { kept in
      if kept.count >= Self.limit { kept.removeFirst() }
      kept.append((name, bytes))
    }
    return bytes
  }
}
