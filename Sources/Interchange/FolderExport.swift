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
    var scheme = FolderScheme(format: format, path: artefact.path)
    let contents = try artefact.names.map { (name: $0, content: try artefact.content(of: $0)) }
    // What weights become is settled first: the configuration depends on all of them.
    for (name, content) in contents {
      // Readers tie embeddings and head by config.json, and store them once.
      if content.tiedTo != nil { continue }
      switch content.kind {
      case .tensor(let tensor):
        plan.tensors.append(dense(name, tensor, content, options))
        if content.sourceShape.rank == 2 { scheme.leave(name) }
      case .weight(let weight):
        try add(weight, name, content, artefact, &scheme, options, &plan, pool)
      }
    }
    for (name, text) in artefact.header.companions { plan.files[name] = text }
    plan.files["config.json"] = try configuration(artefact, scheme, options)
    if format == .gptq || format == .gptqV2 || format == .awq, scheme.bits != nil {
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
    let found = ExactIntegers.of(weight, name: name)
    if case .integers(let base) = found, let problem = scheme.problem(with: base, name: name) {
      try again(problem.reason, problem.nearest, problem.scheme)
    } else if case .integers(let base) = found {
      plan.tensors += try scheme.tensors(of: base, name: name)
      plan.weights.append(
        ExportedWeight(
          name: name, form: "\(content.typeName) → \(scheme.title)", isExact: true,
          addedError: nil))
    } else if case .none(let reason) = found {
      try again(reason, "--format hf writes its dense values", nil)
    }

    func again(_ reason: String, _ nearest: String, _ wanted: IntegerScheme?) throws {
      guard options.allowRequantize, weight.view.layout == .outputsFirst else {
        throw InterchangeError.notExact(
          tensor: name, format: scheme.format.title, reason: reason, nearest: nearest)
      }
      let rounded = try Requantization.round(
        weight, to: wanted ?? scheme.defaultScheme(columns: weight.columns), pool: pool)
      if let problem = scheme.problem(with: rounded.base, name: name) {
        throw InterchangeError.notExact(
          tensor: name, format: scheme.format.title, reason: problem.reason,
          nearest: problem.nearest)
      }
      plan.tensors += try scheme.tensors(of: rounded.base, name: name)
      plan.weights.append(
        ExportedWeight(
          name: name, form: "\(content.typeName) → \(scheme.title), rounded again",
          isExact: false, addedError: rounded.relativeError))
    }
  }

  /// A tensor that was stored plainly.
  private static func dense(
    _ name: String, _ tensor: Tensor, _ content: StoredTensor, _ options: ExportOptions
  ) -> ExportTensor {
    let shape = content.sourceShape.dimensions
    guard let dtype = options.dtype, tensor.dtype.isFloatingPoint, dtype != tensor.dtype else {
      return ExportTensor(name, tensor.dtype, shape) { tensor.bytes }
    }
    return ExportTensor(name, dtype, shape) {
      try PlainValues.bytes(tensor.floats(), as: dtype)
    }
  }

  /// A weight's values, in the checkpoint's own layout.
  private static func decoded(
    _ name: String, _ weight: CompressedWeight, _ dtype: DType
  ) -> ExportTensor {
    ExportTensor(name, dtype, weight.view.sourceShape.dimensions) {
      try PlainValues.bytes(weight.decodedInSourceLayout(), as: dtype)
    }
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
    object["quantization_config"] = scheme.bits == nil ? nil : scheme.configuration
    if let dtype = options.dtype {
      let name = dtype == .bf16 ? "bfloat16" : dtype == .f16 ? "float16" : "float32"
      for key in ["dtype", "torch_dtype"] where object[key] != nil { object[key] = .string(name) }
    }
    return JSONValue.object(object).text(.pretty) + "\n"
  }
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
