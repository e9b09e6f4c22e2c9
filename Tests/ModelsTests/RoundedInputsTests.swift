import Architectures
import Models
import Tensors
import Testing
import Weights

@Suite struct RoundedInputsTests {
  private let golden: Golden
  private let batch: TokenBatch

  init() throws {
    golden = try Golden("nanollama")
    batch = TokenBatch(golden.sequences)
  }

  private func hidden(
    _ activations: ActivationScheme?, keyValue: KeyValueScheme? = nil, workers: Int = 2
  ) throws -> Matrix<Float> {
    try LanguageModel(
      RoundedInputs(golden.weights, activations: activations, keyValue: keyValue),
      pool: WorkerPool(workers: workers)
    ).hiddenStates(of: batch)
  }

  @Test func moreBitsLoseLessAndOneRangeForAllLosesMost() throws {
    let exact = try hidden(nil)
    func error(_ scheme: ActivationScheme) throws -> Double {
      relativeError(try hidden(scheme), exact)
    }
    let int8 = try error(.init(format: .int8))
    let int4 = try error(.init(format: .int4))
    #expect(int8 > 0 && int8 < 0.02)
    #expect(int4 > 4 * int8)
    #expect(try error(.nvfp4) < int4)
    // The largest value of any site, as one outlier would set it.
    #expect(
      try error(.init(format: .int4, granularity: .tensor(maximum: 12))) > 1.5 * int4)
  }

  @Test func workersAndCutsChangeNothing() throws {
    let scheme = ActivationScheme(format: .int4)
    let keyValue = KeyValueScheme(keyBits: 2, group: 4, residual: 3)
    let one = try hidden(scheme, keyValue: keyValue, workers: 1)
    #expect(try hidden(scheme, keyValue: keyValue, workers: 3).values == one.values)
  }

  /// Sharing a site's rounding among its readers gives the bits that each on its own gives.
  @Test func readersThatShareAnInputSeeWhatEachWouldSee() throws {
    struct Apart: WeightProvider {
      let base: RoundedInputs
      var description: ModelDescription { base.description }
      func weight(_ linear: LinearDescription) throws -> CompressedWeight {
        var weight = try base.weight(linear)
        // A transform that does nothing, and is another for every reader but the first.
        if linear.weight.contains("k_proj") || linear.weight.contains("up_proj") {
          let ones = Tensor(
            dtype: .f32, shape: [weight.columns],
            array: [Float](repeating: 1, count: weight.columns))
          weight.site?.transforms = [.scale(ones)]
        }
        return weight
      }
      func vector(_ name: String, count: Int) throws -> [Float] {
        try base.vector(name, count: count)
      }
      func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
        try base.table(name, rows: rows, columns: columns)
      }
    }
    let shared = try RoundedInputs(golden.weights, activations: .mxfp4, keyValue: nil)
    #expect(
      try LanguageModel(Apart(base: shared)).hiddenStates(of: batch).values
        == LanguageModel(shared).hiddenStates(of: batch).values)
  }

  /// A window at once sees what token by token sees, and what one pass after another sees.
  @Test(arguments: [KeyValueScheme.KeyGranularity.channel, .token])
  func aWindowAtOnceIsTokenByToken(_ keys: KeyValueScheme.KeyGranularity) throws {
    let scheme = KeyValueScheme(keyBits: 3, valueBits: 2, keys: keys, group: 4, residual: 3)
    let model = try LanguageModel(
      RoundedInputs(golden.weights, activations: nil, keyValue: scheme))
    let exact = try LanguageModel(golden.weights)
    let sequence = (0..<60).map { Int32(($0 * 37 + 11) % model.description.vocabularySize) }
    let whole = try model.hiddenStates(of: TokenBatch([sequence]))
    for cuts in [[Int](0...60), [0, 1, 2, 9, 30, 31, 60], [0, 13, 60]] {
      let cache = KeyValueCache(for: model.description, sequences: 1, capacity: 60)
      var rows: [Float] = []
      for (from, to) in zip(cuts, cuts.dropFirst()) {
        rows += try model.hiddenStates(
          of: TokenBatch([Array(sequence[from..<to])]), cache: cache
        ).values
      }
      let steps = Matrix(rows: whole.rows, columns: whole.columns, values: rows)
      #expect(relativeError(steps, whole) < 1e-3, "\(cuts.count) cuts")
    }
    let plain = try exact.hiddenStates(of: TokenBatch([sequence]))
    #expect(relativeError(whole, plain) > 0.02)
    // The first tokens have nothing behind them that is rounded.
    let width = whole.columns
    #expect(
      zip(whole.values[..<(6 * width)], plain.values).allSatisfy { abs($0 - $1) < 1e-4 })
  }

  /// Another provider's weights under stored scales.
  private struct UnderScales: WeightProvider {
    let base: any WeightProvider
    let keyValueScales: KeyValueScales?
    var description: ModelDescription { base.description }
    func weight(_ linear: LinearDescription) throws -> CompressedWeight { try base.weight(linear) }
    func vector(_ name: String, count: Int) throws -> [Float] {
      try base.vector(name, count: count)
    }
    func table(_ name: String, rows: Int, columns: Int) throws -> FloatTable {
      try base.table(name, rows: rows, columns: columns)
    }
  }

  /// The largest keys and values of the batch, which become the largest numbers.
  private func scales(_ format: KeyValueScales.Format) throws -> KeyValueScales {
    let ranges = KeyValueRanges(for: golden.weights.description)
    let runner = try BlockwiseRunner(golden.weights, batch: batch)
    for block in golden.weights.description.blocks {
      try runner.advance(through: PreparedBlock(block, from: golden.weights), observer: ranges)
    }
    return try ranges.scales(format)
  }

  @Test(arguments: KeyValueScales.Format.allCases)
  func storedScalesRoundEveryToken(_ format: KeyValueScales.Format) throws {
    let scales = try scales(format)
    let model = try LanguageModel(UnderScales(base: golden.weights, keyValueScales: scales))
    let exact = try hidden(nil)
    let rounded = try model.hiddenStates(of: batch)
    let loss = relativeError(rounded, exact)
    #expect(loss > 1e-4 && loss < 0.05, "\(loss)")
    // Scales that are not the model's lose more: they are really used.
    let wrong = KeyValueScales(
      format: format, layers: scales.layers.map { .init(key: $0.key / 8, value: $0.value * 8) })
    let other = try LanguageModel(UnderScales(base: golden.weights, keyValueScales: wrong))
    #expect(try relativeError(other.hiddenStates(of: batch), exact) > 2 * loss)
    // A window at once is token by token.
    let sequence = (0..<40).map { Int32(($0 * 37 + 11) % model.description.vocabularySize) }
    let whole = try model.hiddenStates(of: TokenBatch([sequence]))
    let cache = KeyValueCache(for: model.description, sequences: 1, capacity: 40)
    var rows: [Float] = []
    for token in sequence {
      rows += try model.hiddenStates(of: TokenBatch([[token]]), cache: cache).values
    }
    let steps = Matrix(rows: whole.rows, columns: whole.columns, values: rows)
    // A number on the border of two codes goes either way.
    #expect(relativeError(steps, whole) < loss / 2)
  }

  @Test func scalesOfAnotherModelAreRefused() throws {
    let scales = KeyValueScales(format: .int8, layers: [.init(key: 1, value: 1)])
    #expect(throws: ModelError.keyValueScalesDoNotFit(found: 1, blocks: 2)) {
      try LanguageModel(UnderScales(base: golden.weights, keyValueScales: scales))
    }
    #expect(throws: WeightsError.self) {
      try KeyValueScales(format: .int8, layers: [.init(key: 1, value: .nan)]).validate()
    }
  }

  @Test func whatIsNotCausalKeepsNoKeys() throws {
    let bert = try Golden("bert")
    #expect(throws: ModelError.keyValueSchemeNotCausal(modelType: "bert")) {
      try LanguageModel(
        RoundedInputs(bert.weights, activations: nil, keyValue: KeyValueScheme(keyBits: 4)))
    }
    #expect(throws: WeightsError.self) {
      try RoundedInputs(
        golden.weights, activations: nil, keyValue: KeyValueScheme(keyBits: 1))
    }
  }
}
