import ArgumentParser
import Foundation
import Pith

/// A count of bytes such as "2GiB", "256MiB", "1.5G" or "4096".
struct ByteCount: ExpressibleByArgument {
  let bytes: Int

  init?(argument: String) {
    let units: [(String, Double)] = [
      ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40), ("KB", 1e3),
      ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("K", 0x1p10), ("M", 0x1p20), ("G", 0x1p30),
      ("T", 0x1p40), ("B", 1),
    ]
    var text = Substring(argument)
    var factor = 1.0
    for (unit, value) in units where argument.lowercased().hasSuffix(unit.lowercased()) {
      text = argument.dropLast(unit.count)
      factor = value
      break
    }
    guard let number = Double(text), number > 0, number * factor < 0x1p62 else { return nil }
    bytes = Int(number * factor)
  }
}

/// Where a recipe comes from: a file, or a preset's name.
struct RecipeOptions: ParsableArguments {
  @Argument(help: "The recipe, a YAML file (or use --preset).")
  var recipe: String?

  @Option(help: "A built-in recipe by name; 'pith recipe show' lists them.")
  var preset: String?

  func load() throws -> Recipe {
    switch (recipe, preset) {
    case (let path?, nil): return try RecipeFile.load(path)
    case (nil, let name?): return try Preset.named(name).recipe()
    case (nil, nil):
      throw UsageError("name a recipe file, or a preset with --preset (such as --preset w4)")
    case (_?, _?): throw UsageError("name either a recipe file or --preset, not both")
    }
  }
}

/// The model that a recipe is for.
struct ModelOptions: ParsableArguments {
  @Option(help: "The model: a folder or a file.")
  var model: String

  @Flag(help: "Go on without objects of the file that are no tensors.")
  var leaveOutOthers = false

  func open() throws -> any TensorSource {
    let source = try CheckpointOpener.open(model)
    if !leaveOutOthers { try source.requireOnlyTensors() }
    return source
  }
}

/// What calibrated stages learn their inputs from.
struct CalibrationOptions: ParsableArguments {
  @Option(
    help: """
      The text of methods such as gptq: a text, JSONL, an HDF5 file with window_ids, 'self' for the \
      model's own samples, or 'builtin'. Default: the recipe's.
      """)
  var calibration: String?

  @Option(
    name: [.customLong("sequences"), .customLong("samples")],
    help: "Windows of that text, at random places. Default: the recipe's (128).")
  var sequences: Int?

  @Option(help: "Tokens of a window. Default: the recipe's (512).")
  var length: Int?

  @Option(
    help: """
      What a layer's inputs come through: compressed 'layers', compressed 'blocks', or the dense \
      model ('none'). Default: the recipe's (layers).
      """)
  var sequential: Propagation?

  @Option(
    help: """
      With --sequential layers: what a layer is fitted to, its 'own' outputs, the 'dense' model's, \
      or those with the residual 'stream' made good. Default: the recipe's (stream).
      """)
  var target: Target?

  @Option(help: "A tokenizer.json in place of the model's own.")
  var tokenizer: String?

  @Option(
    help: "Statistics of the dense model by 'pith calibrate', in place of a text: one shot.")
  var statistics: String?

  /// The words of a recipe's `calibration: {sequential: …}`.
  enum Propagation: String, ExpressibleByArgument, CaseIterable {
    case layers, blocks, none
  }

  /// The words of a recipe's `calibration: {target: …}`.
  enum Target: String, ExpressibleByArgument, CaseIterable {
    case own, dense, stream
  }

  func validate() throws {
    for (name, value) in [("--sequences", sequences), ("--length", length)] {
      guard let value, !(1...1_048_576).contains(value) else { continue }
      throw ValidationError("\(name) takes a number from 1 to 1048576.")
    }
    let isText =
      calibration != nil || sequences != nil || length != nil || sequential != nil
      || target != nil
    if statistics != nil, isText {
      throw ValidationError(
        "--statistics stands for a text: leave out --calibration, --sequences, --length and "
          + "--sequential.")
    }
  }

  /// The recipe with what the command line says in its place.
  func applied(to recipe: Recipe) -> Recipe {
    var recipe = recipe
    switch calibration {
    case nil: break
    case "builtin": recipe.calibration.data = .builtin
    case "self": recipe.calibration.data = .model
    case let path?: recipe.calibration.data = .file(path)
    }
    if let sequences { recipe.calibration.sequences = sequences }
    if let length { recipe.calibration.length = length }
    switch sequential {
    case nil: break
    case .layers: recipe.calibration.sequential = .layers
    case .blocks: recipe.calibration.sequential = .blocks
    case .some(.none): recipe.calibration.sequential = .none
    }
    if let target {
      recipe.calibration.target = .init(rawValue: target.rawValue) ?? recipe.calibration.target
    }
    return recipe
  }

  func load() throws -> CalibrationInput? { try statistics.map(CalibrationInput.read) }
}

/// Memory, workers and where JSON goes.
struct RunOptions: ParsableArguments {
  @Option(help: "The most memory that the run may take, such as 2GiB.")
  var memory: ByteCount?

  @Option(help: "Threads; the output's bytes do not depend on it. Default: all cores.")
  var workers: Int?

  @Flag(help: "Print the result as JSON on standard output.")
  var json = false

  func validate() throws { try WorkerOptions.check(workers) }

  var workerCount: Int { workers ?? WorkerOptions.defaultWorkers }
}

extension RunOptions {
  /// The options of a plan.
  func planOptions(
    hashing: Bool = true, durable: Bool = true, tokenizer: String? = nil
  ) -> PlanOptions {
    PlanOptions(
      memoryLimit: memory?.bytes, workers: workerCount, hashing: hashing, durable: durable,
      tokenizer: tokenizer)
  }
}
