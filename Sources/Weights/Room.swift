import Kernels
import Tensors

/// Memory that several workers fill at separate places and that then becomes a tensor.
///
/// The owner promises that no two workers write to one place, and that nobody writes after
/// `tensor` was called.
final class Room: @unchecked Sendable {
  let start: UnsafeMutableRawPointer
  private let count: Int
  private var owned = true

  init(bytes: Int) {
    count = bytes
    start = .allocate(byteCount: max(bytes, 1), alignment: 64)
  }

  deinit { if owned { start.deallocate() } }

  /// The memory as a tensor, which owns it from then on.
  func tensor(_ dtype: DType, _ shape: Shape) -> Tensor {
    precondition(owned && count == shape.elementCount * dtype.bytes, "\(count) bytes for \(shape)")
    owned = false
    let memory = Memory(start: start)
    let bytes = Bytes(
      borrowing: UnsafeRawBufferPointer(start: start, count: count),
      release: { memory.start.deallocate() })
    guard let tensor = try? Tensor(dtype: dtype, shape: shape, bytes: bytes) else {
      preconditionFailure("\(count) bytes for \(shape)")
    }
    return tensor
  }

  private struct Memory: @unchecked Sendable { let start: UnsafeMutableRawPointer }
}

extension WorkerPool {
  /// The results of a body for every tile, in order; the error is the body's own type.
  func mapChecked<Result: Sendable>(
    _ tiles: Int, _ body: @Sendable (Int) throws(WeightsError) -> Result
  ) throws(WeightsError) -> [Result] {
    do {
      return try map(tiles) { (tile: Int) throws -> Result in try body(tile) }
    } catch let error as WeightsError {
      throw error
    } catch {
      preconditionFailure("a tile throws WeightsError, not \(error)")
    }
  }
}

extension Matrix where Element == Float {
  /// Refuses NaN and infinity, naming the place.
  ///
  /// - Throws: `WeightsError.notFinite`.
  public func checkFinite() throws(WeightsError) {
    let index = values.firstNonfinite
    guard let index else { return }
    throw .notFinite(row: index / columns, column: index % columns)
  }
}

extension [Float] {
  /// The index of the first NaN or infinity.
  var firstNonfinite: Int? {
    let index = withUnsafeBufferPointer { pith_first_nonfinite($0.baseAddress, $0.count) }
    return index < 0 ? nil : Int(index)
  }
}
