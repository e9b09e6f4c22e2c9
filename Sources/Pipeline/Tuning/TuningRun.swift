import Artefacts
import Checkpoints
import Digests
import Evaluation
import Foundation
import Models
import Tensors
import ZerothOrder

/// Tunes a file and writes the result, or replays a log onto a file.
public enum TuningRun {
  /// What a run has to say.
  public struct Outcome: Sendable {
    public var result: Tuning.Result
    public var output: String
    public var log: String
    public var logBytes: Int
    public var warnings: [String]
    public var seconds: Double
    public var peakResidentBytes: Int
  }

  /// Tunes.
  ///
  /// - Throws: `ZerothOrderError`, `PipelineError`, and what opening and running models throws.
  public static func run(
    _ request: TuningRequest, identity: ToolIdentity, interruption: Interruption = Interruption(),
    report: @escaping (Tuning.Progress) -> Void = { _ in }
  ) throws -> Outcome {
    let clock = ContinuousClock.now
    try request.options.validate()
    try check(request)
    let pool = WorkerPool(workers: request.workers)
    let opened = try OpenedModel.open(request.base, mapped: request.memoryLimit == nil)
    let weights: any WeightProvider =
      request.memoryLimit == nil
      ? try HeldWeights(opened.weights) : try StreamedWeights(opened.weights)
    let model = try LanguageModel(weights, residency: .oneBlock, pool: pool)
    var examples = TuningExamples(request, model: model, opened: opened)
    let (train, heldOut) = try examples.objectives()
    var inputs = Tuning.Inputs(
      model: model, weights: weights, path: request.base,
      hash: try FileHash.sha256(of: request.base),
      objective: train, heldOut: heldOut, data: try dataText(request),
      tool: "pith \(identity.version); \(identity.fingerprint)")
    if let limit = request.memoryLimit { inputs.stateBytes = min(inputs.stateBytes, limit / 4) }
    let resume = request.resume && FileManager.default.fileExists(atPath: request.logPath)
    let result = try Tuning.run(
      inputs, options: request.options, log: request.logPath, resume: resume,
      shouldStop: { interruption.isRequested }, progress: report)
    try write(result, opened: opened, weights: weights, to: request.output, pool: pool)
    return Outcome(
      result: result, output: request.output, log: request.logPath,
      logBytes: try ReadOnlyFile(path: request.logPath).size, warnings: examples.warnings,
      seconds: (ContinuousClock.now - clock).inSeconds,
      peakResidentBytes: ProcessMemory.peakResidentBytes)
  }

  /// Replays a log onto the base that it belongs to.
  ///
  /// - Parameter steps: nil: the state that the run kept.
  public static func replay(
    base: String, log path: String, steps: Int?, output: String, workers: Int
  ) throws -> Tuning.Result {
    let log = try SeedLog(path: path)
    let opened = try OpenedModel.open(base)
    let pool = WorkerPool(workers: workers)
    let result = try Tuning.replay(
      log, on: opened.weights, path: base, hash: try FileHash.sha256(of: base), steps: steps,
      pool: pool)
    try write(result, opened: opened, weights: opened.weights, to: output, pool: pool)
    return result
  }

  private static func write(
    _ result: Tuning.Result, opened: OpenedModel, weights: any WeightProvider, to target: String,
    pool: WorkerPool
  ) throws {
    if let file = opened.artefact {
      try TunedArtefact.write(result, base: file, weights: weights, to: target, pool: pool)
    } else {
      try TunedArtefact.write(
        result, base: try CheckpointOpener.open(opened.path), weights: weights, to: target)
    }
  }

  private static func check(_ request: TuningRequest) throws {
    guard request.force || request.resume else {
      if FileManager.default.fileExists(atPath: request.logPath) {
        throw ZerothOrderError.logExists(path: request.logPath)
      }
      return
    }
    let parent = FileIO.folder(of: request.output)
    guard FileIO.kind(of: parent) == .folder else {
      throw PipelineError.file(
        path: request.output, reason: "the folder '\(parent)' does not exist; make it first")
    }
  }

  /// What the examples are: a log goes on only with the same.
  private static func dataText(_ request: TuningRequest) throws -> String {
    func name(_ path: String) throws -> String {
      let hash =
        FileIO.kind(of: path) == .file ? try FileHash.sha256(of: path).prefix(16) : "folder"
      return "\(FileIO.name(of: path)) \(hash)"
    }
    var parts = [try name(request.data)]
    if let heldOut = request.heldOut { parts.append("held out \(try name(heldOut))") }
    if let teacher = request.teacher { parts.append("teacher \(FileIO.name(of: teacher))") }
    if let template = request.template { parts.append("template \(template)") }
    parts.append(
      "length \(request.length ?? 0), windows \(request.windows), "
        + "records \(request.records ?? 0), held-out "
        + "\(request.heldOutCount), text cut \(request.maximumTextTokens ?? 0), beginning "
        + "\(request.withBeginning)")
    return parts.joined(separator: "; ")
  }
}
