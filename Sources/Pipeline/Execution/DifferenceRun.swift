import Checkpoints
import LowRank
import Synchronization
import Tensors

/// A tuned checkpoint with its difference from its base made sparse (DARE), as a dense checkpoint.
public enum DifferenceRun {
  public struct Options: Sendable, Hashable {
    /// The share of the difference's entries that is dropped, at least 0 and below 1.
    public var share: Double
    public var strategy: DifferenceSparsification.Strategy
    public var seed: UInt64

    public init(
      share: Double, strategy: DifferenceSparsification.Strategy = .random, seed: UInt64 = 0
    ) {
      self.share = share
      self.strategy = strategy
      self.seed = seed
    }
  }

  /// What a run left of the difference, over all floating-point tensors.
  public struct Outcome: Sendable, Hashable {
    public var tensors = 0
    /// Entries in which the two checkpoints differ.
    public var differing = 0
    /// Of those, the ones that still do.
    public var kept = 0
    /// ‖δ‖_F before and after.
    public var normBefore = 0.0
    public var normAfter = 0.0
  }

  /// Writes base + sparsified(tuned − base) with the tuned checkpoint's names, types and metadata.
  ///
  /// Every tensor has random numbers of its own, by its name: the same seed gives the same bytes,
  /// whatever other tensors there are. Tensors of integers are the tuned checkpoint's.
  ///
  /// - Throws: `PipelineError.tensorMissing`, `.shapeMismatch`, `.nonFinite`;
  ///   `LowRankError.optionOutOfRange`; `CheckpointError`.
  public static func run(
    tuned: any TensorSource, base: any TensorSource, options: Options, output: String,
    workers: Int, report: @escaping @Sendable (RunEvent) -> Void = { _ in }
  ) throws -> Outcome {
    for tensor in tuned.tensors {
      guard let other = base.tensor(named: tensor.name) else {
        throw PipelineError.tensorMissing(tensor: tensor.name, path: base.path)
      }
      guard other.shape == tensor.shape else {
        throw PipelineError.shapeMismatch(
          tensor: tensor.name, artefact: tensor.shape.dimensions,
          model: other.shape.dimensions, path: base.path)
      }
    }
    // Before anything is written.
    _ = try sparsified(Matrix(rows: 1, columns: 1, repeating: 0), options, name: "")
    let target = try CheckpointWriter.open(
      path: output, tensors: tuned.tensors, metadata: tuned.metadata)
    let done = Mutex(0)
    let outcomes = try WorkerPool(workers: workers).map(tuned.tensors.count) { index in
      let tensor = tuned.tensors[index]
      let outcome = try write(tensor, tuned, base, options, target)
      done.withLock {
        $0 += 1
        report(.progress(done: $0, total: tuned.tensors.count, current: tensor.name))
      }
      return outcome
    }
    try target.sink.finish()
    var whole = Outcome()
    for outcome in outcomes {
      whole.tensors += outcome.tensors
      whole.differing += outcome.differing
      whole.kept += outcome.kept
      whole.normBefore += outcome.normBefore
      whole.normAfter += outcome.normAfter
    }
    whole.normBefore = whole.normBefore.squareRoot()
    whole.normAfter = whole.normAfter.squareRoot()
    return whole
  }

  private static func sparsified(
    _ difference: Matrix<Float>, _ options: Options, name: String
  ) throws -> Matrix<Float> {
    try DifferenceSparsification.sparsified(
      difference, dropping: options.share, strategy: options.strategy, seed: options.seed,
      stream: StageResolver.stream(of: name))
  }

  private static func write(
    _ tensor: TensorDescription, _ tuned: any TensorSource, _ base: any TensorSource,
    _ options: Options, _ target: CheckpointWriter.Output
  ) throws -> Outcome {
    var outcome = Outcome()
    if tensor.sharesStorageWith != nil, target.sharesStorage { return outcome }
    let values = try tuned.load(tensor)
    guard tensor.dtype.isFloatingPoint, let other = base.tensor(named: tensor.name) else {
      try values.bytes.withBuffer { bytes throws(CheckpointError) in
        try target.sink.write(bytes, to: tensor.name, at: 0)
      }
      return outcome
    }
    var sum = try base.load(other).floats()
    var difference = Matrix(rows: 1, columns: sum.count, values: values.floats())
    for index in sum.indices {
      difference.values[index] -= sum[index]
      if difference.values[index] != 0 { outcome.differing += 1 }
      outcome.normBefore += Double(difference.values[index]) * Double(difference.values[index])
    }
    guard outcome.normBefore.isFinite else {
      throw PipelineError.nonFinite(
        file: tuned.path, tensor: tensor.name,
        index: difference.values.firstIndex { !$0.isFinite } ?? 0)
    }
    difference = try sparsified(difference, options, name: tensor.name)
    for index in sum.indices {
      sum[index] += difference.values[index]
      if difference.values[index] != 0 { outcome.kept += 1 }
      outcome.normAfter += Double(difference.values[index]) * Double(difference.values[index])
    }
    outcome.tensors = 1
    let bytes = try Bytes(count: sum.count * tensor.dtype.bytes) { target in
      try sum.withUnsafeBufferPointer {
        try FloatConversion.encode($0, as: tensor.dtype, into: target)
      }
    }
    try bytes.withBuffer { buffer throws(CheckpointError) in
      try target.sink.write(buffer, to: tensor.name, at: 0)
    }
    return outcome
  }
}
