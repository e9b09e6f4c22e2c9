import Foundation
import Tensors

/// The hidden states of a whole data set between two blocks: in memory under a cap, else in a file
/// that is read and written in windows.
///
/// The file has no name once it is open, so that it is gone with the process, however that ends.
final class HiddenStateStore {
  let rows: Int
  let width: Int
  private var memory: UnsafeMutableBufferPointer<Float>?
  private var file: Int32 = -1
  private let path: String

  /// The bytes that the states take in memory; 0 when they are in a file.
  var residentBytes: Int { memory.map { $0.count * 4 } ?? 0 }
  var isSpilled: Bool { memory == nil }

  /// Room for `rows × width` numbers.
  ///
  /// - Throws: `ModelError.scratchFile` when the file cannot be made.
  init(rows: Int, width: Int, memoryLimit: Int, folder: String) throws(ModelError) {
    self.rows = rows
    self.width = width
    path = folder + "/pith-states-\(UUID().uuidString)"
    guard rows * width * 4 > memoryLimit else {
      memory = .allocate(capacity: max(rows * width, 1))
      return
    }
    file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("create") }
    unlink(path)
    guard ftruncate(file, off_t(rows * width * 4)) == 0 else { throw failure("extend") }
  }

  deinit {
    memory?.deallocate()
    if file >= 0 { close(file) }
  }

  /// Hands out some rows, `range.count × width`; what the body leaves there is kept when `writing`.
  ///
  /// - Parameter reading: false when the body fills all of the rows itself.
  func with(
    rows range: Range<Int>, reading: Bool = true, writing: Bool, scratch: ScratchMemory,
    _ body: (UnsafeMutablePointer<Float>) throws -> Void
  ) throws {
    let count = range.count * width
    if let base = memory?.baseAddress, writing {
      try body(base + range.lowerBound * width)
      return
    }
    try scratch.with(count) { window in
      if let base = memory?.baseAddress {
        window.update(from: base + range.lowerBound * width, count: count)
      } else if reading {
        try transfer(window, range, "read") { pread(file, $0, $1, $2) }
      }
      try body(window)
      if writing { try transfer(window, range, "write") { pwrite(file, $0, $1, $2) } }
    }
  }

  private func transfer(
    _ window: UnsafeMutablePointer<Float>, _ range: Range<Int>, _ operation: String,
    _ call: (UnsafeMutableRawPointer, Int, off_t) -> Int
  ) throws(ModelError) {
    let bytes = range.count * width * 4
    let start = range.lowerBound * width * 4
    var done = 0
    while done < bytes {
      let moved = call(UnsafeMutableRawPointer(window) + done, bytes - done, off_t(start + done))
      if moved < 0, errno == EINTR { continue }
      guard moved > 0 else { throw failure(operation) }
      done += moved
    }
  }

  private func failure(_ operation: String) -> ModelError {
    .scratchFile(path: path, operation: operation, reason: String(cString: strerror(errno)))
  }
}
