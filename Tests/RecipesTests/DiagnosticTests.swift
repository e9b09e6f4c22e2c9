import Recipes
import Testing

@Suite("Recipe diagnostics")
struct DiagnosticTests {
  @Test func unknownKeysAreErrorsWithASuggestion() {
    expectErrors(
      """
      version: 1
      name: t
      1️⃣target: ["*"]
      stages:
        - quantize: {method: rtn, bits: 4, 2️⃣grup: 64}
        - 3️⃣quantise: {method: rtn, bits: 4}
        - low_rank:
            method: svd
            of: error
            rank: 2
            4️⃣xyzzy: 1
      """,
      """
      1️⃣error: unknown key 'target' in the recipe; did you mean 'targets'? (known keys: version, \
      name, description, targets, ignore, strict_groups, seed, calibration, kv_cache, stages, overrides)
      """,
      """
      2️⃣error: unknown key 'grup' in 'quantize'; did you mean 'group'? (known keys: method, bits, \
      format, group, symmetric, clip, scales, rule, packing, exponent, damping, order, refit, rounding, bounded, weak_columns, salient_groups)
      """,
      """
      3️⃣error: unknown stage 'quantise' in 'stages'; did you mean 'quantize'? (known stages: \
      narrow, rotate, smooth, transform, outliers, prune, low_rank, quantize, activations, budget, finetune)
      """,
      """
      4️⃣error: unknown key 'xyzzy' in 'low_rank' (known keys: method, of, rank, ratio, energy, \
      allocation, factors, iterations, oversample, fisher)
      """)
  }

  @Test func wrongTypesAndRangesSayWhatWasFound() {
    expectErrors(
      """
      version: 1
      name: t
      strict_groups: 1️⃣yes
      seed: 2️⃣-1
      calibration: {sequences: 3️⃣0, length: 4️⃣[1]}
      stages:
        - quantize: {method: rtn, bits: 5️⃣9, group: 6️⃣1}
        - prune: {method: magnitude, sparsity: 7️⃣1.0}
        - low_rank: {method: svd, of: error, rank: 8️⃣"16"}
        - outliers: {method: columns, fraction: 9️⃣few}
      """,
      """
      1️⃣error: 'strict_groups' in the recipe must be true or false, found the text 'yes'; did you \
      mean 'true'?
      """,
      """
      2️⃣error: 'seed' in the recipe must be an integer from 0 to 18446744073709551615, found -1
      """,
      "3️⃣error: 'sequences' in 'calibration' must be an integer from 1 to 1048576, found 0",
      "4️⃣error: 'length' in 'calibration' must be an integer from 1 to 1048576, found a list",
      "5️⃣error: 'bits' in 'quantize' must be an integer from 2 to 8, found 9",
      """
      6️⃣error: 'group' in 'quantize' must be an integer from 2 to 1048576, 'channel' or 'tensor', \
      found 1
      """,
      "7️⃣error: 'sparsity' in 'prune' must be a number between 0 and 1, both excluded, found 1.0",
      "8️⃣error: 'rank' in 'low_rank' must be an integer from 1 to 65536, found the text '16'",
      """
      9️⃣error: 'fraction' in 'outliers' must be a number between 0 and 1, both excluded, found the \
      text 'few'
      """)
  }

  @Test func storedScalesOfKeysStandAlone() {
    expectErrors(
      """
      version: 1
      name: t
      kv_cache: 1️⃣{bits: 8, stored: fp8_e4m3, group: 64}
      stages:
        - quantize: {method: rtn, bits: 4}
      """,
      """
      1️⃣error: 'group' in 'kv_cache' is for scales found while running; leave it or 'stored' out
      """)
    expectErrors(
      """
      version: 1
      name: t
      kv_cache: 1️⃣{bits: 4, stored: int8}
      stages:
        - activations: {format: fp4_e2m1, granularity: tensor_block, scale: e4m3}
      """,
      "1️⃣error: 'stored' in 'kv_cache' needs 'bits: 8'")
  }

  @Test func choicesSuggestAndMethodsAreListed() {
    expectErrors(
      """
      version: 1
      name: t
      stages:
        - quantize: {method: 1️⃣nearest, bits: 4, clip: 2️⃣msee, scales: 3️⃣f8}
        - low_rank: {method: 4️⃣svdd, of: 5️⃣weigth, rank: 1}
      """,
      "1️⃣error: unknown method 'nearest' in 'quantize' (known methods: rtn, gptq, hqq)",
      """
      2️⃣error: 'clip' in 'quantize' must be 'mse' or 'output' or 'none', found the text 'msee'; did you mean \
      'mse'?
      """,
      """
      3️⃣error: 'scales' in 'quantize' must be 'f16' or 'bf16' or 'f32' or 'e8m0' or 'e4m3' or \
      'dynamic8' or 'ratio', found the text 'f8'
      """,
      """
      4️⃣error: unknown method 'svdd' in 'low_rank'; did you mean 'svd'? (known methods: svd, pissa, \
      pissa_fast, qpissa, corda_ipa, corda_kpa, milora, loftq, eora, lorc, lqer, l2qer, qera, \
      qera_approx, svd_llm, fwsvd)
      """,
      """
      5️⃣error: 'of' in 'low_rank' must be 'weight' or 'error', found the text 'weigth'; did you \
      mean 'weight'?
      """)
  }

  @Test func methodsThatNeedTrainingAreRefusedWithARemedy() {
    expectErrors(
      """
      version: 1
      name: t
      stages:
        - quantize: {method: rtn, bits: 4}
        - low_rank: {method: 1️⃣lrec, rank: 4}
      """,
      """
      1️⃣error: 'lrec' trains its factors by back-propagation, which this program does not do; 'eora' \
      is the closed-form optimum that its per-layer fit chases
      """)
  }

  @Test func missingAndConflictingKeys() {
    expectErrors(
      """
      1️⃣name: t
      stages:
        - quantize: 2️⃣{method: rtn}
        - prune: 3️⃣{method: magnitude}
        - prune: {method: magnitude, sparsity: 0.5, 4️⃣pattern: "2:4"}
        - prune: {method: magnitude, pattern: 5️⃣"4:4"}
        - 6️⃣outliers
        - low_rank:7️⃣
        - 8️⃣[1, 2]
      """,
      "1️⃣error: the recipe needs 'version': 1",
      "2️⃣error: 'quantize' needs 'bits' or 'format'",
      "3️⃣error: 'prune' needs 'sparsity' or 'pattern'",
      "4️⃣error: 'pattern' in 'prune' conflicts with 'sparsity'; give one of them",
      """
      5️⃣error: 'pattern' in 'prune' must be a pattern "N:M" with 1 <= N < M <= 256, found the text \
      '4:4'
      """,
      """
      6️⃣error: a stage must be a mapping such as 'quantize: {…}', found the text 'outliers' (known \
      stages: narrow, rotate, smooth, transform, outliers, prune, low_rank, quantize, activations, budget, finetune)
      """,
      """
      7️⃣error: 'low_rank' must be a mapping of options (method, of, rank, ratio, energy, allocation, \
      factors, iterations, oversample, fisher), found nothing
      """,
      """
      8️⃣error: a stage must be a mapping such as 'quantize: {…}', found a list (known stages: \
      narrow, rotate, smooth, transform, outliers, prune, low_rank, quantize, activations, budget, finetune)
      """)
  }

  @Test func selectorsAreCheckedWhereTheyStand() {
    expectErrors(
      """
      version: 1
      name: t
      targets: ["*", 1️⃣"model.[ab", 2️⃣7]
      ignore: 3️⃣"*.bias"
      stages:
        - quantize: {method: rtn, bits: 4}
      overrides:
        - targets: [4️⃣"re:layers\\\\.(0|1"]
          skip: true
        - targets: 5️⃣[]
          skip: 6️⃣false
      """,
      "1️⃣error: selector 'model.[ab' is malformed: '[' is not closed at character 7 of the glob",
      "2️⃣error: a selector must be a glob or a 're:' expression, found 7",
      """
      3️⃣error: 'ignore' in the recipe must be a list of globs and 're:' expressions, found the text \
      '*.bias'
      """,
      """
      4️⃣error: selector 're:layers\\.(0|1' is malformed: missing closing parenthesis at character \
      13 of the regular expression
      """,
      "5️⃣error: a list of selectors in 'overrides' is empty",
      "6️⃣error: 'skip' in 'overrides' must be true, found false")
  }

  @Test func overridesChangeOnlyWhatIsThere() {
    expectErrors(
      """
      version: 1
      name: t
      stages:
        - quantize: {method: rtn, bits: 4}
      overrides:
        - targets: ["*"]
          set: {1️⃣prune: {sparsity: 0.5}, quantize: {bits: 2️⃣1}}
        - 3️⃣targets: ["*"]
        - targets: ["*"]
          skip: true
          4️⃣set: {quantize: {bits: 8}}
        - targets: ["*"]
          set: {5️⃣quantise: {bits: 8}}
      """,
      """
      1️⃣error: 'set' changes 'prune', which is no stage of this recipe (its stages: quantize)
      """,
      "2️⃣error: 'bits' in 'quantize' must be an integer from 2 to 8, found 1",
      "3️⃣error: 'overrides' needs 'set' or 'stages' or 'skip'",
      "4️⃣error: 'set' in 'overrides' conflicts with 'skip'; give one of them",
      """
      5️⃣error: unknown stage 'quantise' in 'set'; did you mean 'quantize'? (known stages: \
      narrow, rotate, smooth, transform, outliers, prune, low_rank, quantize, activations, budget, finetune)
      """)
  }

  @Test func ordersWithoutMeaning() throws {
    expectErrors(
      """
      version: 1
      name: t
      stages:
        - quantize: {method: rtn, bits: 4}
        - 1️⃣transform: {method: channel_scale}
      """,
      """
      1️⃣error: 'transform' after 'quantize' can't change codes that are already chosen; move it \
      before
      """)
    expectErrors(
      """
      version: 1
      name: t
      stages:
        - smooth: {method: awq}
        - 1️⃣rotate: {}
        - quantize: {method: rtn, bits: 4}
        - 2️⃣smooth: {method: smoothquant}
      """,
      "1️⃣error: 'rotate' after 'smooth' folds the scales back into the weights; move it before",
      "2️⃣error: 'smooth' changes the whole model; move it before 'quantize'")
    expectErrors(
      """
      version: 1
      name: t
      stages:
        - 1️⃣smooth: {method: awq, alpha: 0.5}
        - quantize: {method: rtn, bits: 4}
      overrides:
        - targets: ["a"]
          stages:
            - 2️⃣rotate: {}
            - quantize: {method: rtn, bits: 4}
      """,
      """
      1️⃣error: 'alpha' is an option of method 'smoothquant'; the method here is 'awq'
      """,
      "2️⃣error: 'rotate' changes the whole model; it can't be a stage of some tensors")
    let quantize = "{quantize: {method: rtn, bits: 4}}"
    let decompose = "{low_rank: {method: svd, of: weight, rank: 1}}"
    let repair = "{low_rank: {method: svd, of: error, rank: 1}}"
    let odd = try recipe("\(quantize), \(decompose)")
    #expect(
      odd.warnings.map(\.description) == [
        """
        r.yaml:3:47: warning: 'low_rank' of the weight after 'quantize' makes the base dense \
        again; quantize after it, or repair with 'of: error'
        """
      ])
    #expect(try recipe("\(decompose), \(quantize), \(repair)").warnings.isEmpty)
  }

  @Test func otherVersionsAreRefused() {
    expectErrors(
      "version: 1️⃣2\nname: t\nstages: [{quantize: {method: rtn, bits: 4}}]",
      "1️⃣error: 'version' in the recipe must be 1, found 2")
  }
}
