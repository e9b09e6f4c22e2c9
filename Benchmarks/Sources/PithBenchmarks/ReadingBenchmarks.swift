import Foundation
import Pith

/// Contiguous HDF5 against plain reading of the same bytes and against h5py.
enum ReadingBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let path = try context.model(mebibytes: 512, tensors: 128)
    let source = try CheckpointOpener.open(path)
    let bytes = source.tensors.reduce(0) { $0 + $1.byteCount }
    let largest = source.tensors.map(\.byteCount).max() ?? 0
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: largest, alignment: 64)
    defer { buffer.deallocate() }

    let plain = try Timing.median {
      let file = try ReadOnlyFile(path: path)
      var offset = file.size - bytes
      while offset < file.size {
        let count = min(largest, file.size - offset)
        try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count]))
        offset += count
      }
    }
    let ours = try Timing.median {
      for tensor in source.tensors {
        try source.read(
          tensor, rows: 0..<tensor.shape.rows,
          into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<tensor.byteCount]))
      }
    }
    show("read every tensor of 512 MiB HDF5", rate(bytes, ours))
    show("the same against plain reading", Format.fixed(plain / ours, 2), bar: ">= 0.9")

    let pool = WorkerPool(workers: ProcessInfo.processInfo.activeProcessorCount)
    var total: UInt64 = 0
    let mapped = try Timing.median {
      let sums = try pool.map(source.tensors.count) { index in
        try source.mapped(source.tensors[index]).map { $0.withBuffer(ByteSum.sum) } ?? 0
      }
      total = sums.reduce(0, &+)
    }
    show("sum every byte by mapping (\(total))", rate(bytes, mapped))
    if let python = context.python {
      let script = """
        import h5py, time, sys
        best = []
        for _ in range(5):
            start = time.perf_counter()
            with h5py.File(sys.argv[1], "r") as f:
                for name in f: f[name][()]
            best.append(time.perf_counter() - start)
        open(sys.argv[2], "w").write(str(sorted(best)[2]))
        """
      let result = context.folder + "/h5py.txt"
      _ = try Measured.run([python, "-c", script, path, result])
      let peer = Double(try String(contentsOfFile: result, encoding: .utf8)) ?? .nan
      show("h5py reading the same", rate(bytes, peer))
      show("summing by mapping against h5py reading", Format.fixed(mapped / peer, 2), bar: "<= 0.6")
    }
  }

  private static func rate(_ bytes: Int, _ seconds: Double) -> String {
    "\(Format.fixed(Double(bytes) / seconds / 0x1p30, 2)) GiB/s"
  }
}
