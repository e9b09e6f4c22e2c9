import Architectures
import Artefacts
import Checkpoints
import JSONText
import Tensors
import Weights

/// An artefact in the layout of a folder of safetensors.
public enum FolderExport {
  /// Lays out an export; nothing is written yet.
  ///
  /// - Throws: `InterchangeError.notExact` for the first weight that the format cannot hold as it
  ///   is, unless `options` allow to round it again; `.modelNotPossible`.
  public static func plan(
    _ artefact: ArtefactFile, as format: FolderFormat, options: ExportOptions = ExportOptions(),
    pool: WorkerPool = .serial
  ) throws -> ExportPlan {
    var plan = ExportPlan()
    plan.memoryLimit = options.memoryLimit
    var scheme = FolderScheme(format: format, path: artefact.path)
    let contents = try artefact.names.map { (name: $0, content: try artefact.content(of: $0)) }
    // What weights become is settled first: the configuration depends on all of them.
    for (name, content) in contents {
      // Readers tie embeddings and head by config.json, and store them once.
      if content.tiedTo != nil {
        scheme.leave(name)
        continue
      }
      switch content.kind {
      case .tensor(let tensor):
        plan.tensors.append(dense(name, tensor, content, options))
        if content.sourceShape.rank == 2 { scheme.leave(name) }
      case .weight(let weight):
        try add(weight, name, content, artefact, &scheme, options, &plan, pool)
      }
    }
    if isTied(artefact) { scheme.leave("lm_head.weight") }
    if let scales = artefact.header.keyValueScales, format == .compressedTensors {
      scheme.keyValues = scales.format
      plan.tensors += try CompressedTensorsKeyValues.tensors(
        scales, try model(artefact, contents), path: artefact.path)
    }
    try say(artefact, contents.map(\.content), format, options, &plan)
    if scheme.modules.contains(where: { $0.form.isOrdered }) {
      plan.warnings.append(
        "groups that do not lie together go into weight_g_idx ('actorder: group'): vLLM reads it, "
          + "compressed-tensors from 0.20 on does not")
    }
    for (name, text) in artefact.header.companions { plan.files[name] = text }
    plan.files["config.json"] = try configuration(artefact, scheme, options)
    if let adapter = plan.adapter {
      plan.warnings.append(
        "\(adapter.modules.count) low-rank paths go into \(EoRAAdapter.folder)/: the codes alone are "
          + "another model")
    }
    if format == .gptq || format == .gptqV2 || format == .awq, scheme.isQuantized {
      plan.files["quantize_config.json"] = scheme.configuration.text(.pretty) + "\n"
    }
    return plan
  }

  private static func add(
    _ weight: CompressedWeight, _ name: String, _ content: StoredTensor, _ artefact: ArtefactFile,
    _ scheme: inout FolderScheme, _ options: ExportOptions, _ plan: inout ExportPlan,
    _ pool: WorkerPool
  ) throws {
    guard scheme.format != .huggingFace else {
      let dtype = options.dtype ?? content.sourceType
      plan.tensors.append(decoded(name, weight, dtype))
      plan.weights.append(
        ExportedWeight(
          name: name, form: "\(content.typeName) → \(dtype.rawValue)",
          isExact: dtype == .f32 || dtype == .f64, addedError: nil))
      scheme.leave(name)
      return
    }
    if scheme.format == .compressedTensors {
      switch try CompressedTensors.choice(weight, name: name) {
      case .form(let form, let base, let inputs, let order):
        if case .integer(let integers) = base { try plan.hold(integers, name: name) }
        plan.tensors += scheme.tensors(of: base, form, inputs: inputs, order: order, name: name)
        note(form.format.rawValue, nil)
      case .none(let reason):
        try again(reason, "--format hf writes its dense values", nil)
      }
      return
    }
    var codes = weight
    if scheme.format == .gptq || scheme.format == .gptqV2, !weight.lowRank.isEmpty,
      weight.site == nil, weight.view.layout == .outputsFirst
    {
      plan.adapter = plan.adapter ?? EoRAAdapter()
      plan.adapter?.modules.append(
        try PEFTExport.adapter(of: weight, name: FolderScheme.module(of: name)))
      codes.lowRank = []
    }
    let isGPTQ = scheme.format == .gptq || scheme.format == .gptqV2
    let ordered = isGPTQ ? InputOrder.of(codes) : nil
    let exact = try ordered.map { ExactIntegers.integers($0.base) } ?? .of(codes, name: name)
    switch exact {
    case .none(let reason):
      try again(reason, "--format hf writes its dense values", nil)
    case .integers(let base):
      try plan.hold(base, name: name)
      if let problem = scheme.problem(with: base, name: name) {
        try again(problem.reason, problem.nearest, problem.scheme)
      } else {
        plan.tensors += scheme.tensors(of: base, order: ordered?.order, name: name)
        note(scheme.format.rawValue, nil)
      }
    }

    func note(_ form: String, _ error: Double?) {
      plan.weights.append(
        ExportedWeight(
          name: name,
          form: "\(content.typeName) → \(form)" + (error == nil ? "" : ", rounded again"),
          isExact: error == nil, addedError: error))
    }

    func again(_ reason: String, _ nearest: String, _ wanted: IntegerScheme?) throws {
      guard options.allowRequantize, weight.view.layout == .outputsFirst else {
        throw InterchangeError.notExact(
          tensor: name, format: scheme.format.title, reason: reason, nearest: nearest)
      }
      try TransferMemory.check(
        limit: options.memoryLimit, held: plan.heldBytes,
        needs: [(name, Requantization.workingBytes(of: weight))])
      let rounded = try Requantization.round(
        weight, to: wanted ?? scheme.defaultScheme(columns: weight.columns), pool: pool)
      try plan.hold(rounded.base, name: name)
      if let problem = scheme.problem(with: rounded.base, name: name) {
        throw InterchangeError.notExact(
          tensor: name, format: scheme.format.title, reason: problem.reason,
          nearest: problem.nearest)
      }
      let plain = CompressedWeight(view: weight.view, base: .integer(rounded.base))
      if scheme.format == .compressedTensors,
        case .form(let form, let base, _, _) = try CompressedTensors.choice(plain, name: name)
      {
        plan.tensors += scheme.tensors(of: base, form, inputs: nil, name: name)
        note(form.format.rawValue, rounded.relativeError)
      } else {
        plan.tensors += scheme.tensors(of: rounded.base, name: name)
        note(scheme.format.rawValue, rounded.relativeError)
      }
    }
  }

  /// Whether the head is the embedding: readers see a linear layer of that name all the same.
  private static func isTied(_ artefact: ArtefactFile) -> Bool {
    artefact.header.configuration.flatMap { try? JSONParser.parse($0) }?["tie_word_embeddings"]
      == true
  }

  /// What feeds what in the model.
  private static func model(
    _ artefact: ArtefactFile, _ contents: [(name: String, content: StoredTensor)]
  ) throws -> ModelDescription {
    guard let configuration = artefact.header.configuration else {
      throw InterchangeError.modelNotPossible(
        path: artefact.path, format: "compressed-tensors",
        reason: "it has no config.json, which says where keys and values come from")
    }
    let tensors = contents.map { name, content in
      TensorDescription(
        name: name, dtype: content.sourceType, shape: content.sourceShape, storage: .empty,
        sharesStorageWith: content.tiedTo)
    }
    return try ModelDescription.resolve(configuration: configuration, tensors: tensors).description
  }

  /// What a folder cannot say of the artefact as a whole.
  ///
  /// - Throws: `InterchangeError.modelNotPossible` where it would be another model silently.
  private static func say(
    _ artefact: ArtefactFile, _ contents: [StoredTensor], _ format: FolderFormat,
    _ options: ExportOptions, _ plan: inout ExportPlan
  ) throws {
    if let scheme = artefact.header.keyValueScheme {
      let reason =
        "keys and values are rounded while running (\(scheme.name)), and stored scales of "
        + "kv_cache_scheme are one a layer, for 8 bits (in a recipe: "
        + "'kv_cache: {bits: 8, stored: fp8_e4m3}')"
      guard format == .huggingFace || options.allowRequantize else {
        throw InterchangeError.modelNotPossible(
          path: artefact.path, format: format.title,
          reason: reason + "; --allow-requantize leaves them exact")
      }
      plan.warnings.append(reason + ": the folder's are exact")
    }
    if let scales = artefact.header.keyValueScales, format != .compressedTensors {
      let reason = "keys and values are rounded (\(scales.name)), which compressed-tensors can say"
      guard format == .huggingFace || options.allowRequantize else {
        throw InterchangeError.modelNotPossible(
          path: artefact.path, format: format.title,
          reason: reason + "; --allow-requantize leaves them exact")
      }
      plan.warnings.append(reason + ": the folder's are exact")
    }
    guard format == .huggingFace else { return }
    let rounded = contents.count(where: { content in
      if case .weight(let weight) = content.kind { weight.site?.activations != nil } else { false }
    })
    if rounded > 0 {
      plan.warnings.append(
        "the artefact rounds the inputs of \(rounded) layers, dense weights do not say so: "
          + "--format compressed-tensors does")
    }
  }

  /// A tensor that was stored plainly.
  private static func dense(
    _ name: String, _ tensor: Tensor, _ content: StoredTensor, _ options: ExportOptions
  ) -> ExportTensor {
    let shape = content.sourceShape.dimensions
    guard let dtype = options.dtype, tensor.dtype.isFloatingPoint, dtype != tensor.dtype else {
      return ExportTensor(name, tensor.dtype, shape, of: tensor.bytes)
    }
    return ExportTensor(name, dtype, shape, pouring: { try $0.append(tensor, as: dtype) })
  }

  /// A weight's values, in the checkpoint's own layout.
  private static func decoded(
    _ name: String, _ weight: CompressedWeight, _ dtype: DType
  ) -> ExportTensor {
    let shape = weight.view.sourceShape.dimensions
    guard weight.decodesByRows, weight.view.layout == .outputsFirst else {
      return ExportTensor(name, dtype, shape, holding: weight.decodingBytes) {
        try PlainValues.bytes(weight.decodedInSourceLayout(), as: dtype)
      }
    }
    return ExportTensor(name, dtype, shape, pouring: { try $0.append(weight, as: dtype) })
  }

  private static func configuration(
    _ artefact: ArtefactFile, _ scheme: FolderScheme, _ options: ExportOptions
  ) throws -> String {
    guard let text = artefact.header.configuration,
      var object = (try? JSONParser.parse(text))?.object
    else {
      throw InterchangeError.modelNotPossible(
        path: artefact.path, format: scheme.format.title,
        reason: "it has no config.json, which says what the tensors are for")
    }
    object["quantization_config"] = scheme.isQuantized ? scheme.configuration : nil
    if let dtype = options.dtype {
      let name = dtype == .bf16 ? "bfloat16" : dtype == .f16 ? "float16" : "float32"
      for key in ["dtype", "torch_dtype"] where object[key] != nil { object[key] = .string(name) }
    }
    return JSONValue.object(object).text(.pretty) + "\n"
  }
}

extension CompressedWeight {
  /// What decoding all values at once takes: them twice, in another order too, and their parts.
  var decodingBytes: Int { 16 * rows * columns }
}

/// Plain values in a floating-point type.
enum PlainValues {
  static func bytes(_ values: [Float], as dtype: DType) throws -> Bytes {
    try Bytes(count: values.count * dtype.bytes) { target in
      try values.withUnsafeBufferPointer {
        try FloatConversion.encode($0, as: dtype, into: target)
      }
    }
  }
}
