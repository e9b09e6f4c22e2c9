import ArgumentParser
import Foundation

/// Whether a command may write where it was told to.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Replace an existing output.")
  var force = false

  /// - Throws: `UsageError` for an output that is an input, or that is there and not to be replaced.
  func check(_ output: String, inputs: [String]) throws {
    try OutputCheck.mayWrite(output, force: force, inputs: inputs)
  }
}

/// How many threads a command takes.
struct WorkerOptions: ParsableArguments {
  @Option(help: "Threads. Default: all cores.")
  var workers: Int?

  func validate() throws { try Self.check(workers) }

  var workerCount: Int { workers ?? Self.defaultWorkers }

  /// One worker a core.
  static var defaultWorkers: Int { ProcessInfo.processInfo.activeProcessorCount }

  static func check(_ workers: Int?) throws {
    if let workers, workers < 1 || workers > 1024 {
      throw ValidationError("--workers takes a number from 1 to 1024.")
    }
  }
}

/// How much memory a command that streams may take.
struct MemoryOptions: ParsableArguments {
  @Option(help: "The most memory that the run may take, such as 2GiB. Default: no cap.")
  var memory: ByteCount?
}

/// How a command that makes one file or folder of another writes it.
struct WritingOptions: ParsableArguments {
  @OptionGroup var replacing: OutputOptions

  @OptionGroup var threads: WorkerOptions

  var workerCount: Int { threads.workerCount }

  func check(_ output: String, inputs: [String]) throws {
    try replacing.check(output, inputs: inputs)
  }
}
