import JSONText

/// What one run did: the value behind the terminal's table, the JSON and the HTML page.
///
/// Plain data, below the pipeline that fills it and the reports that show it.
public struct RunRecord: Sendable, Hashable {
  /// The subcommand, such as "compress".
  public var command: String
  /// The tool's version.
  public var toolVersion: String
  public var recipeName: String?
  public var recipeHash: String?
  public var model: String
  public var output: String?
  public var modelFormat: String?
  /// BLAS core and version, kernel target: what the bits depend on besides the inputs.
  public var fingerprint: String?
  public var workers: Int?
  public var memoryLimit: Int?
  public var seconds: Double?
  /// Peak resident memory of the process in bytes.
  public var peakResidentBytes: Int?
  public var warnings: [String]
  /// What was done to the model around its weights, a sentence each.
  public var edits: [String] = []
  public var tensors: [TensorRecord]
  public var totals: Totals
  /// What the compressed model still says, when a text was given.
  public var modelFigures: ModelFigures?
  /// How keys and values are kept while the model runs; nil: exactly.
  public var keyValueCache: KeyValueRecord?
  /// What a plan expects; nil for a run that took place.
  public var forecast: ForecastRecord?

  public init(command: String, toolVersion: String, model: String) {
    self.command = command
    self.toolVersion = toolVersion
    self.model = model
    warnings = []
    tensors = []
    totals = Totals()
  }
}

/// What a plan expects of its run.
public struct ForecastRecord: Sendable, Hashable {
  public var peakBytes: Int
  public var diskBytes: Int
  public var seconds: Double

  public init(peakBytes: Int, diskBytes: Int, seconds: Double) {
    self.peakBytes = peakBytes
    self.diskBytes = diskBytes
    self.seconds = seconds
  }
}

/// What happened to one tensor.
public struct TensorRecord: Sendable, Hashable {
  public var index: Int
  public var name: String
  public var shape: [Int]
  /// The element type in the checkpoint.
  public var sourceType: String
  /// What it became, such as "int4 g128".
  public var storedType: String
  /// Why it was compressed so, or left.
  public var reason: String
  public var compressed: Bool
  public var elements: Int
  public var sourceBytes: Int
  public var storedBytes: Int
  public var error: WeightError?
  public var seconds: Double
  public var notes: [String]

  public init(
    index: Int, name: String, shape: [Int], sourceType: String, storedType: String, reason: String,
    compressed: Bool, elements: Int, sourceBytes: Int, storedBytes: Int, error: WeightError? = nil,
    seconds: Double = 0, notes: [String] = []
  ) {
    self.index = index
    self.name = name
    self.shape = shape
    self.sourceType = sourceType
    self.storedType = storedType
    self.reason = reason
    self.compressed = compressed
    self.elements = elements
    self.sourceBytes = sourceBytes
    self.storedBytes = storedBytes
    self.error = error
    self.seconds = seconds
    self.notes = notes
  }

  /// Bits stored for each element, everything counted: scales, zero points, padding.
  public var bitsPerWeight: Double {
    elements == 0 ? 0 : Double(storedBytes) * 8 / Double(elements)
  }
}

extension TensorRecord {
  /// How many times smaller it became; nil for a tensor that is stored elsewhere.
  public var ratio: Double? {
    storedBytes == 0 ? nil : Double(sourceBytes) / Double(storedBytes)
  }
}

/// How far a compressed weight lies from the original, over all its elements.
public struct WeightError: Sendable, Hashable {
  /// ‖W − Ŵ‖_F / ‖W‖_F.
  public var relativeFrobenius: Double
  /// 20·log10(‖W‖_F / ‖W − Ŵ‖_F) in dB; infinite when nothing was lost.
  public var signalToNoise: Double
  /// max |W − Ŵ|.
  public var maximumAbsolute: Double
  /// ⟨W, Ŵ⟩ / (‖W‖·‖Ŵ‖).
  public var cosine: Double
  /// ‖X(W − Ŵ)ᵀ‖ / ‖XWᵀ‖ on calibration inputs; nil without statistics.
  public var outputRelative: Double?

  public init(
    relativeFrobenius: Double, signalToNoise: Double, maximumAbsolute: Double, cosine: Double
  ) {
    self.relativeFrobenius = relativeFrobenius
    self.signalToNoise = signalToNoise
    self.maximumAbsolute = maximumAbsolute
    self.cosine = cosine
  }
}

/// Sums over the tensors of a run.
public struct Totals: Sendable, Hashable {
  /// Elements and stored bytes of the tensors that were compressed.
  public var compressedElements = 0
  public var compressedSourceBytes = 0
  public var compressedStoredBytes = 0
  /// The same over every tensor.
  public var elements = 0
  public var sourceBytes = 0
  public var storedBytes = 0
  /// The output file's own size, its headers included; nil before it exists.
  public var fileBytes: Int?
  public var error: WeightError?

  public init() {}

  /// Bits per weight of the compressed tensors alone.
  public var compressedBitsPerWeight: Double {
    compressedElements == 0 ? 0 : Double(compressedStoredBytes) * 8 / Double(compressedElements)
  }

  /// Bits per weight of the whole file: headers and uncompressed tensors counted.
  public var fileBitsPerWeight: Double {
    elements == 0 ? 0 : Double(fileBytes ?? storedBytes) * 8 / Double(elements)
  }

  /// How many times smaller the file is than the source's tensors.
  public var ratio: Double {
    let bytes = fileBytes ?? storedBytes
    return bytes == 0 ? 0 : Double(sourceBytes) / Double(bytes)
  }

  /// Counts one tensor in; one that is stored under another's name is counted there.
  public mutating func add(_ tensor: TensorRecord) {
    guard tensor.storedBytes > 0 || tensor.sourceBytes == 0 else { return }
    elements += tensor.elements
    sourceBytes += tensor.sourceBytes
    storedBytes += tensor.storedBytes
    guard tensor.compressed else { return }
    compressedElements += tensor.elements
    compressedSourceBytes += tensor.sourceBytes
    compressedStoredBytes += tensor.storedBytes
  }
}
