import RunRecords

/// Records with fixed numbers.
enum SampleRecord {
  static func tensor(
    _ index: Int, _ name: String, error: Double? = nil, type: String = "int4 g128",
    notes: [String] = []
  ) -> TensorRecord {
    TensorRecord(
      index: index, name: name, shape: [576, 1536], sourceType: "bf16",
      storedType: error == nil ? "bf16" : type, reason: error == nil ? "a vector" : "targeted",
      compressed: error != nil, elements: 884_736, sourceBytes: 1_769_472,
      storedBytes: error == nil ? 1_769_472 : 456_192,
      error: error.map {
        WeightError(
          relativeFrobenius: $0, signalToNoise: 20.5, maximumAbsolute: 0.0123, cosine: 0.995)
      }, seconds: 0.25, notes: notes)
  }

  /// A run with one of everything, names that HTML would read among them.
  static func run(names: [String]? = nil) -> RunRecord {
    var record = RunRecord(command: "validate", toolVersion: "0.0.1", model: "models/<tiny> & co")
    record.recipeName = "w4 \"quoted\""
    record.recipeHash = "00ff"
    record.modelFormat = "HDF5"
    record.output = "small.h5"
    record.fingerprint = "OpenBLAS, Haswell"
    record.workers = 2
    record.memoryLimit = 1 << 30
    record.seconds = 12.5
    record.peakResidentBytes = 300 << 20
    record.warnings = ["<script>alert(1)</script>"]
    let names =
      names ?? ["model.layers.0.a.weight", "model.layers.1.<b>.weight", "model.norm.weight"]
    record.tensors = names.enumerated().map { index, name in
      tensor(
        index, name, error: index == names.count - 1 ? nil : 0.08 + Double(index) * 0.01,
        notes: index == 0 ? ["group 64: 128 does not divide 576"] : [])
    }
    for tensor in record.tensors { record.totals.add(tensor) }
    record.totals.fileBytes = 2_800_000
    record.totals.error = WeightError(
      relativeFrobenius: 0.085, signalToNoise: 21.4, maximumAbsolute: 0.0123, cosine: 0.9963)
    return record
  }
}
