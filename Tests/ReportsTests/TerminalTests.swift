import Foundation
import RunRecords
import Testing

@testable import Reports

@Suite struct TerminalTests {
  @Test func progressMakesNoGuessFromLittle() {
    let start = ContinuousClock.now
    let line = ProgressLine(start: start)
    let early = line.text(done: 4, total: 100, current: "x", now: start + .seconds(4))
    #expect(early == "4%  4.0 s  x")
    // 20 % in 10 s: the rest takes 40 s at that rate.
    let later = line.text(done: 20, total: 100, current: "x", now: start + .seconds(10))
    #expect(later == "20%  10 s, about 40 s left  x")
    #expect(
      line.text(done: 100, total: 100, current: "x", now: start + .seconds(50)) == "100%  50 s  x")
    #expect(line.text(done: 0, total: 0, current: "x", now: start).hasPrefix("100%"))
    let long = line.text(
      done: 20, total: 100, current: String(repeating: "n", count: 200), now: start + .seconds(10))
    #expect(long.count == 80)
  }

  @Test func linesOfTensors() {
    let compressed = SampleRecord.tensor(
      6, "model.a.weight", error: 0.0954, notes: ["group 64: 128 does not divide 192"])
    #expect(
      TerminalReport.line(compressed, of: 120)
        == "[  7/120] model.a.weight  576×1536  bf16 → int4 g128  1.69 MiB → 445.5 KiB  error 0.0954"
        + "; group 64: 128 does not divide 192")
    var left = SampleRecord.tensor(0, "scale")
    left.shape = []
    #expect(TerminalReport.line(left, of: 5) == "[1/5] scale  scalar  bf16  1.69 MiB  (a vector)")
  }

  @Test func summaryCountsTheWholeFile() {
    let text = TerminalReport.summary(SampleRecord.run())
    #expect(text.contains("2 of 3 tensors compressed, 4.125 bits per weight (whole file: 8.439)"))
    #expect(text.contains("5.06 MiB → 2.67 MiB, 1.90 times smaller"))
    #expect(text.contains("written: small.h5"))
  }

  @Test func errorsAreSortedAndFitEightyColumns() {
    var record = SampleRecord.run(
      names: (0..<30).map { "model.decoder.very.long.path.of.layers.\($0).projection.weight" })
    record.tensors[3].storedType = "int4 g128, sparse 50%, 12 columns, +r16, scaled"
    let text = TerminalReport.errors(record, limit: 20)
    let lines = text.split(separator: "\n")
    for line in lines { #expect(line.count <= 80, "\(line)") }
    // Worst first: tensor 28 has the largest error; 29 is not compressed.
    #expect(lines[0].hasPrefix("names: model.decoder.very.long.path.of.layers.…"))
    #expect(lines[2].hasPrefix("28 "))
    #expect(lines.last == "… and 9 more with smaller errors (--all shows them)")
    #expect(TerminalReport.errors(record).split(separator: "\n").count == 31)
    for line in TerminalReport.validationSummary(record).split(separator: "\n") {
      #expect(line.count <= 80, "\(line)")
    }
  }

  @Test func plansFitEightyColumnsAndSayEachReasonOnce() {
    var record = SampleRecord.run(
      names: (0..<9).map { "model.layers.\($0).self_attention.query_projection.weight" })
    for index in record.tensors.indices.dropLast() {
      record.tensors[index].notes = ["group 64: 128 does not divide 576"]
      record.tensors[index].storedType = "int4 asym g64, +r16 f16"
    }
    record.forecast = ForecastRecord(peakBytes: 1 << 28, diskBytes: 1 << 24, seconds: 3)
    record.warnings = []
    let text = PlanReport.text(record)
    for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    #expect(text.contains("[1] group 64: 128 does not divide 576\n[2] a vector\n"))
    #expect(text.components(separatedBy: "does not divide").count == 2)
    #expect(text.contains("memory:  at most 256.0 MiB (limit 1.00 GiB)"))
    #expect(text.contains("8 of 9 tensors will be compressed, 4.125 bits per weight"))
  }

  @Test func cachesOfKeysAndValuesHaveTheirLines() {
    var record = SampleRecord.run()
    record.forecast = ForecastRecord(peakBytes: 1 << 28, diskBytes: 1 << 24, seconds: 3)
    #expect(!PlanReport.text(record).contains("cache:"))
    #expect(!TerminalReport.validationSummary(record).contains("cache:"))
    record.keyValueCache = KeyValueRecord(
      scheme: "4-bit keys, 2-bit values, keys per channel, groups of 128, 1024 exact",
      size: .init(tokens: 131_072, bitsPerNumber: 3.25, denseBytes: 1 << 34, storedBytes: 7 << 29))
    record.modelFigures = ModelFigures(
      data: "t", perplexity: 21, referencePerplexity: 20, perplexityRatio: 1.05,
      perplexityRatioError: 0.001, divergence: 0.05, agreement: 0.9,
      withExactCache: .init(perplexityRatio: 1.04, divergence: 0.041))
    let sizes = "131072 tokens: 16.0 GiB as f16, 3.50 GiB rounded, 3.25 bits a number\n"
    for text in [PlanReport.text(record), TerminalReport.validationSummary(record)] {
      #expect(
        text.contains(" 4-bit keys, 2-bit values, keys per channel, groups of 128, 1024 exact"))
      #expect(text.contains(sizes))
      for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }
    #expect(
      TerminalReport.validationSummary(record).contains(
        "with exact keys and values: ratio 1.0400, KL 0.04100\n"))
    #expect(HTMLReport.page(record).contains("keys per channel, groups of 128, 1024 exact; 131072"))
    #expect(record.json["kv_cache"]?["stored_bytes"]?.int == 7 << 29)
    #expect(record.json["model_figures"]?["kl_mean_exact_cache"]?.double == 0.041)
    // Where the model is not known the scheme stands alone.
    record.keyValueCache?.size = nil
    #expect(PlanReport.text(record).contains("1024 exact\nmemory:"))
    #expect(record.json["kv_cache"]?["tokens"] == nil)
  }

  @Test func listings() {
    var listing = CheckpointListing(
      path: "m.h5", format: "HDF5",
      tensors: [
        .init(
          name: "a", dtype: "f32", shape: [2, 3], bytes: 24, storage: "contiguous",
          sharesStorageWith: nil,
          statistics: .init(
            minimum: -1, maximum: 2, mean: 0.5, standardDeviation: 1, zeroFraction: 0.25,
            nonFiniteCount: 1)),
        .init(
          name: "b", dtype: "f32", shape: [], bytes: 4, storage: "contiguous",
          sharesStorageWith: "a", statistics: nil),
      ], metadata: ["config": String(repeating: "x", count: 500)],
      skipped: [.init(name: "t", reason: "a text")], companions: ["tokenizer.json"])
    let text = ListingReport.text(listing)
    for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    #expect(text.contains("scalar") && text.contains("= a") && text.contains("25.0%"))
    #expect(text.contains("passed over: 't': a text"))
    #expect(text.contains("x…x") && text.contains("x (500 B)\n"))
    let json = listing.json
    #expect(json["tensor_count"]?.int == 2)
    #expect(json["tensors"]?[0]?["statistics"]?["zero_fraction"]?.double == 0.25)
    #expect(json["tensors"]?[1]?["shares_storage_with"]?.string == "a")
    listing.tensors = []
    #expect(ListingReport.text(listing).contains("0 tensors"))
  }

  /// Texts within a file may have megabytes: their ends are shown, and how long they are.
  @Test func longMetadataIsCutWithItsLength() {
    let tokenizer =
      "{\n  \"first\": 1,\r\n" + String(repeating: "é\n", count: 3 << 20) + "\n\"last\"}"
    let listing = CheckpointListing(
      path: "m.h5", format: "HDF5", tensors: [],
      metadata: [
        "tokenizer.json": tokenizer, "short": "two\nlines",
        "combined": "e" + String(repeating: "\u{301}", count: 1 << 20),
      ], skipped: [], companions: [])
    let text = ListingReport.text(listing)
    let lines = text.split(separator: "\n")
    for line in lines { #expect(line.count <= 80) }
    #expect(text.utf8.count < 4000)
    #expect(lines.contains("  short = two lines"))
    let line = lines.first { $0.contains("tokenizer.json") } ?? ""
    #expect(line.hasPrefix("  tokenizer.json = {   \"first\": 1, é é"))
    #expect(line.contains("…") && line.hasSuffix("é é \"last\"} (9.00 MiB)"))
    // JSON keeps all.
    #expect(listing.json["metadata"]?["tokenizer.json"]?.string == tokenizer)
  }
}
