import LowRank
import Recipes
import Tensors
import Weights

extension StageResolver {
  /// - Throws: `PipelineError.rankTooLarge`, or `.stage` for options that the method does not know.
  static func lowRank(
    _ options: LowRankOptions, _ view: WeightView, _ tensor: String, _ recipe: Recipe
  ) throws(PipelineError) -> LowRankChoice {
    if let option = options.foreignOptions.first {
      throw .stage(
        file: recipe.file, tensor: tensor,
        reason: "'\(option)' is no option of method '\(options.method.rawValue)'; leave it out")
    }
    let limit = min(view.rows, view.columns)
    let rank: LowRankChoice.Rank
    switch options.amount {
    case .rank(let value):
      guard value <= limit else {
        throw .rankTooLarge(tensor: tensor, rank: value, limit: limit)
      }
      rank = .fixed(value)
    case .ratio(let share):
      rank = .fixed(Factorization.rank(rows: view.rows, columns: view.columns, keeping: share))
    case .energy(let share): rank = .energy(share)
    }
    // One name, one method: a recipe's word is the method's own (a test walks through all).
    guard let method = LowRankChoice.Method(rawValue: options.method.rawValue) else {
      throw .stage(
        file: recipe.file, tensor: tensor,
        reason: "'\(options.method.rawValue)' is a method of no low-rank stage")
    }
    let role: LowRankChoice.Role =
      method == .svd ? (options.subject == .weight ? .decompose : .repair) : method.role
    if options.allocation == .adaptive, case .energy = options.amount {
      throw .stage(
        file: recipe.file, tensor: tensor,
        reason:
          "'energy' chooses every weight's rank by itself; leave out 'allocation: adaptive', or "
          + "give 'rank' or 'ratio'")
    }
    var choice = LowRankChoice(
      method: method, role: role, rank: rank, factors: factors(options, role),
      iterations: options.iterations, oversample: options.oversample ?? 10, seed: recipe.seed,
      stream: stream(of: tensor), fisher: options.fisher)
    choice.isAllocated = options.allocation == .adaptive
    return choice
  }

  /// Methods that take turns with a quantizer need one right after them.
  static func checkTurns(
    _ stages: [ResolvedStage], _ tensor: String, _ recipe: Recipe
  ) throws(PipelineError) {
    for (index, stage) in stages.enumerated() {
      guard case .lowRank(let choice) = stage, choice.method.alternates else { continue }
      guard index + 1 < stages.count, stages[index + 1].isQuantizer else {
        throw .stage(
          file: recipe.file, tensor: tensor,
          reason:
            "'low_rank: {method: \(choice.method.rawValue)}' takes turns with a quantizer: put "
            + "a 'quantize' stage right after it")
      }
    }
  }

  /// int8 for repairs: with f16 factors a finer group is usually the better buy.
  private static func factors(
    _ options: LowRankOptions, _ role: LowRankChoice.Role
  ) -> FactorFormat {
    switch options.factors {
    case .f16: .dense(.f16)
    case .bf16: .dense(.bf16)
    case .f32: .dense(.f32)
    case .int8: .integer(bits: 8)
    case .int4: .integer(bits: 4)
    case .nf4: .normalFloat4
    case nil: role == .repair && options.method != .svd ? .integer(bits: 8) : .dense(.f16)
    }
  }

  /// FNV-1a of the name: a tensor's random numbers do not depend on which others there are.
  static func stream(of tensor: String) -> UInt32 {
    tensor.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
  }
}

extension ResolvedStage {
  /// Whether the stage puts the base on a grid.
  var isQuantizer: Bool {
    switch self {
    case .quantize, .format, .gptq, .refitted, .refittedFormat, .weightedRounding: true
    default: false
    }
  }
}
