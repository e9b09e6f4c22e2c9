import Architectures
import Artefacts
import Checkpoints
import Foundation
import Tensors
import Weights

/// An artefact as a GGUF file, for llama.cpp and its kin.
public struct GGUFExport: Sendable {
  public let metadata: [(key: String, value: GGUFValue)]
  public let tensors: [GGUFSink.Entry]
  public let weights: [ExportedWeight]
  public let warnings: [String]
  private let makers: [GGUFExportBuilder.Maker]
  private let memory: TransferMemory

  /// Lays out an export; nothing is written yet.
  ///
  /// - Throws: `InterchangeError` for models that GGUF has no architecture for, for weights
  ///   without an exact type, unless `options` allow to round them again, and where a tensor takes
  ///   more memory than they allow.
  public init(_ artefact: ArtefactFile, options: ExportOptions = ExportOptions()) throws {
    let path = artefact.path
    guard let configuration = artefact.header.configuration else {
      throw InterchangeError.modelNotPossible(
        path: path, format: "GGUF", reason: "it has no config.json")
    }
    var contents: [String: StoredTensor] = [:]
    let described = try artefact.names.map { name in
      let content = try artefact.content(of: name)
      contents[name] = content
      return TensorDescription(
        name: name, dtype: content.sourceType, shape: content.sourceShape, storage: .empty,
        sharesStorageWith: content.tiedTo)
    }
    let model = try ModelDescription.resolve(configuration: configuration, tensors: described)
      .description
    let architecture = try GGUFArchitecture(model, path: path)
    let companions = artefact.header.companions
    var builder = GGUFExportBuilder(artefact: artefact, contents: contents, options: options)
    if let factors = architecture.rotaryFactors() { builder.add(rotaryFactors: factors) }
    for place in architecture.places() { try builder.add(place) }
    var metadata: [(key: String, value: GGUFValue)] = [
      ("general.architecture", .string(architecture.name)),
      ("general.type", .string("model")),
      ("general.name", .string(model.modelType)),
      ("general.file_type", .u32(builder.fileType)),
      ("general.quantization_version", .u32(2)),
    ]
    metadata += architecture.metadata()
    if let name = artefact.header.keyValueScheme?.name ?? artefact.header.keyValueScales?.name {
      builder.warnings.append(
        "the artefact rounds keys and values (\(name)), a GGUF file does not say so: give "
          + "llama.cpp --cache-type-k and --cache-type-v")
    }
    if let tokenizer = companions["tokenizer.json"] {
      let (values, warning) = try GGUFTokenizer.metadata(
        tokenizer: tokenizer, configuration: companions["tokenizer_config.json"],
        model: configuration, rows: model.vocabularySize, path: path)
      metadata += values
      if let warning { builder.warnings.append(warning) }
    } else {
      builder.warnings.append("the artefact has no tokenizer.json: the file holds no tokens")
    }
    self.metadata = metadata
    tensors = builder.entries
    makers = builder.makers
    memory = try builder.memory()
    weights = builder.weights
    warnings = builder.warnings
  }

  /// Writes the file; each worker holds a piece of a tensor, or one tensor that is turned about.
  public func write(
    to path: String, pool: WorkerPool,
    report: @Sendable (_ done: Int, _ total: Int, _ name: String) -> Void = { _, _, _ in }
  ) throws {
    let sink = try GGUFSink(path: path, metadata: metadata, tensors: tensors)
    let buffers = StagingBuffers(memory)
    try pool.forEach(tensors.count) { index in
      let name = tensors[index].name
      try buffers.with(makers[index].workingBytes) { staging in
        try staging.collect(at: sink.position(of: name), makers[index].pour) { bytes, offset in
          try sink.write(bytes, to: name, at: offset)
        }
      }
      report(index + 1, tensors.count, name)
    }
    try sink.finish()
  }
}

/// Gathers a GGUF file's tensors.
struct GGUFExportBuilder {
  /// What makes a tensor's bytes.
  struct Maker: Sendable {
    let pour: @Sendable (StagingBuffer) throws -> Void
    /// The memory that this takes at its peak, at most.
    let workingBytes: Int
  }

  let artefact: ArtefactFile
  let contents: [String: StoredTensor]
  let options: ExportOptions
  var entries: [GGUFSink.Entry] = []
  var makers: [Maker] = []
  var weights: [ExportedWeight] = []
  var warnings: [String] = []
  /// What waits in memory: the header, and weights that were rounded again, in bytes.
  private var heldBytes: Int

  init(artefact: ArtefactFile, contents: [String: StoredTensor], options: ExportOptions) {
    (self.artefact, self.contents, self.options) = (artefact, contents, options)
    // A tokenizer is taken apart, and its tokens are put into the header.
    heldBytes = 8 * artefact.header.companions.values.reduce(0) { $0 + $1.utf8.count }
  }

  /// Counts what of a weight waits in memory until it is written.
  private mutating func hold(
    _ base: IntegerBase, _ place: GGUFArchitecture.Place
  ) throws(InterchangeError) {
    heldBytes += base.heldBytes
    try TransferMemory.check(
      limit: options.memoryLimit, held: heldBytes, needs: [(place.source, 0)])
  }

  func memory() throws(InterchangeError) -> TransferMemory {
    try TransferMemory(
      limit: options.memoryLimit, held: heldBytes,
      needs: zip(entries, makers).map { ($0.name, $1.workingBytes) })
  }

  mutating func add(_ place: GGUFArchitecture.Place) throws {
    let content = try contents[place.source] ?? artefact.content(of: place.source)
    switch content.kind {
    case .tensor(let tensor):
      addPlain(place, tensor, content)
    case .weight(let weight):
      try addWeight(place, weight, content)
    }
  }

  mutating func add(rotaryFactors: [Float]) {
    add(name: "rope_freqs.weight", [rotaryFactors.count], .f32) {
      try $0.append(Bytes(rotaryFactors))
    }
  }

  /// A tensor that was stored plainly.
  private mutating func addPlain(
    _ place: GGUFArchitecture.Place, _ tensor: Tensor, _ content: StoredTensor
  ) {
    let type = plainType(place, content.sourceType)
    let shape = content.sourceShape
    if shape.rank == 2, place.layout != .outputsFirst {
      let view = WeightView(sourceShape: shape, layout: place.layout)
      add(place, [view.rows, view.columns], type, holding: 16 * shape.elementCount) {
        try $0.append(
          PlainValues.bytes(view.matrix(from: tensor.floats()).values, as: type.dtype))
      }
      return
    }
    add(place, shape.dimensions, type) {
      try $0.append(tensor, as: type.dtype, order: place.rowOrder)
    }
  }

  private mutating func addWeight(
    _ place: GGUFArchitecture.Place, _ weight: CompressedWeight, _ content: StoredTensor
  ) throws {
    let shape = [weight.rows, weight.columns]
    if let (base, type) = Self.blocks(of: weight) {
      add(place, shape, type) { try base.append(order: place.rowOrder, to: $0) }
      note(place, content, type.name, isExact: true)
      return
    }
    switch try ExactIntegers.of(weight, name: place.source) {
    case .integers(let base):
      try hold(base, place)
      switch GGUFBlocks.choice(for: base) {
      case .exact(let type):
        add(place, shape, type) {
          try GGUFBlocks.append(base, as: type, order: place.rowOrder, to: $0)
        }
        note(place, content, type.name, isExact: true)
      case .none(let reason, let nearest):
        try again(place, weight, content, reason, nearest)
      }
    case .none(let reason):
      // Dense parts in f32 are exact, if large.
      if case .dense? = weight.base, weight.base?.isQuantized == false {
        addDecoded(place, weight, content)
      } else {
        try again(place, weight, content, reason, .q8v0)
      }
    }
  }

  /// A weight that is in GGUF's own blocks already.
  private static func blocks(of weight: CompressedWeight) -> (BlockBase, GGUFBlockType)? {
    guard case .blocks(let base)? = weight.base, weight.isBaseAlone else { return nil }
    return GGUFBlockType(base.format).map { (base, $0) }
  }

  /// Values in a plain type.
  private mutating func addDecoded(
    _ place: GGUFArchitecture.Place, _ weight: CompressedWeight, _ content: StoredTensor
  ) {
    let type = plainType(place, content.sourceType)
    add(place, [weight.rows, weight.columns], type, holding: weight.decodingBytes) {
      try $0.append(
        PlainValues.bytes(
          Self.reordered(weight.decoded().values, width: weight.columns, place.rowOrder),
          as: type.dtype))
    }
    note(place, content, type.name, isExact: type == .f32)
  }

  private mutating func again(
    _ place: GGUFArchitecture.Place, _ weight: CompressedWeight, _ content: StoredTensor,
    _ reason: String, _ nearest: GGUFBlockType
  ) throws {
    guard options.allowRequantize else {
      throw InterchangeError.notExact(
        tensor: place.source, format: "GGUF", reason: reason,
        nearest: "\(nearest.name) is nearest")
    }
    guard weight.columns % 32 == 0, nearest != .f16 else {
      addDecoded(place, weight, content)
      return
    }
    let bits = nearest == .q8v0 ? 8 : nearest == .q5v1 ? 5 : 4
    // Symmetric: its blocks hold codes and scales as they are.
    try TransferMemory.check(
      limit: options.memoryLimit, held: heldBytes,
      needs: [(place.source, Requantization.workingBytes(of: weight))])
    let rounded = try Requantization.round(
      weight, to: IntegerScheme(bits: bits, granularity: .group(32), scaleType: .f16),
      pool: .serial)
    guard case .exact(let type) = GGUFBlocks.choice(for: rounded.base) else { return }
    try hold(rounded.base, place)
    add(place, [weight.rows, weight.columns], type) {
      try GGUFBlocks.append(rounded.base, as: type, order: place.rowOrder, to: $0)
    }
    note(place, content, type.name + ", rounded again", isExact: false, rounded.relativeError)
  }

  private mutating func note(
    _ place: GGUFArchitecture.Place, _ content: StoredTensor, _ form: String, isExact: Bool,
    _ error: Double? = nil
  ) {
    weights.append(
      ExportedWeight(
        name: place.source, form: "\(content.typeName) → \(form)", isExact: isExact,
        addedError: error))
  }

  private mutating func add(
    _ place: GGUFArchitecture.Place, _ shape: [Int], _ type: GGUFBlockType, holding: Int = 0,
    pour: @escaping @Sendable (StagingBuffer) throws -> Void
  ) {
    add(name: place.name, shape, type, holding: holding, pour: pour)
  }

  private mutating func add(
    name: String, _ shape: [Int], _ type: GGUFBlockType, holding: Int = 0,
    pour: @escaping @Sendable (StagingBuffer) throws -> Void
  ) {
    entries.append(GGUFSink.Entry(name: name, shape: shape, type: type))
    makers.append(Maker(pour: pour, workingBytes: StagingBuffer.workingBytes + holding))
  }

  /// Norms and biases are f32 there; other values keep their type, or take the one asked for.
  private func plainType(_ place: GGUFArchitecture.Place, _ source: DType) -> GGUFBlockType {
    if place.isVector { return .f32 }
    switch options.dtype ?? source {
    case .f16: return .f16
    case .bf16: return .bf16
    default: return .f32
    }
  }

  private static func reordered(_ values: [Float], width: Int, _ order: [Int]?) -> [Float] {
    guard let order else { return values }
    return order.flatMap { values[$0 * width..<($0 + 1) * width] }
  }

  /// llama.cpp's number for the mixture, by its most frequent type: only for show.
  var fileType: UInt32 {
    let matrices = entries.filter { $0.shape.count == 2 }
    let counts = Dictionary(grouping: matrices) { $0.type }.mapValues(\.count)
    let most = counts.max { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }?.key
    switch most {
    case .f16: return 1
    case .q4v0: return 2
    case .q4v1: return 3
    case .q8v0: return 7
    case .q5v0: return 8
    case .q5v1: return 9
    case .q2k: return 10
    case .q3k: return 12
    case .q4k: return 15
    case .q5k: return 17
    case .q6k: return 18
    case .bf16: return 32
    case .f32, nil: return 0
    }
  }
}

extension GGUFBlockType {
  /// The element type of a plain one.
  var dtype: DType {
    switch self {
    case .f16: .f16
    case .bf16: .bf16
    default: .f32
    }
  }
}

extension GGUFBlockType {
  /// The type of the same blocks.
  init?(_ format: BlockFormat) {
    guard let type = Self.allCases.first(where: { $0.name.lowercased() == format.rawValue }) else {
      return nil
    }
    self = type
  }
}

extension BlockFormat {
  /// The format of a type of blocks; nil for plain values.
  init?(_ type: GGUFBlockType) { self.init(rawValue: type.name.lowercased()) }
}

extension CompressedWeight {
  /// Whether the base is all there is to the weight.
  var isBaseAlone: Bool {
    mask == nil && outliers == nil && lowRank.isEmpty && site == nil
  }
}
