import JSONText
import RunRecords
import Testing

@Suite struct RecordTests {
  @Test func tensorRecordsComeBack() throws {
    for record in SampleRecord.run().tensors {
      #expect(try #require(TensorRecord(json: record.json)) == record)
    }
  }

  @Test(arguments: [
    WeightError(relativeFrobenius: 0, signalToNoise: .infinity, maximumAbsolute: 0, cosine: 1),
    WeightError(
      relativeFrobenius: .infinity, signalToNoise: -.infinity, maximumAbsolute: 1, cosine: 0),
    WeightError(
      relativeFrobenius: 0.1, signalToNoise: 1e-300, maximumAbsolute: 3.5e38, cosine: 1 / 3),
  ])
  func errorsComeBack(_ error: WeightError) throws {
    #expect(try #require(WeightError(json: error.json)) == error)
  }

  @Test func aRecordWithoutAFieldIsNone() {
    let good = SampleRecord.run().tensors[0].json
    for name in ["index", "name", "shape", "source_type", "stored_type", "compressed", "elements"] {
      var object = JSONObject()
      for member in good.object?.members ?? [] where member.key != name {
        object[member.key] = member.value
      }
      #expect(TensorRecord(json: .object(object)) == nil, "\(name)")
    }
  }

  @Test func theRunAsJSON() {
    let record = SampleRecord.run()
    let json = record.json(missedBounds: ["a: too much"])
    #expect(json["totals"]?["file_bytes"]?.int == 2_800_000)
    #expect(json["totals"]?["compressed_bits_per_weight"]?.double == 4.125)
    #expect(json["missed_bounds"]?[0]?.string == "a: too much")
    #expect(record.json["missed_bounds"] == nil)
    #expect(record.json["forecast"] == nil)
    #expect(json["tensors"]?.array?.count == 3)
    #expect(json["tensors"]?[0]?["notes"]?[0]?.string == "group 64: 128 does not divide 576")
  }

  @Test func bitsCountEverything() {
    var totals = Totals()
    #expect(totals.ratio == 0 && totals.fileBitsPerWeight == 0)
    totals.add(SampleRecord.tensor(0, "a", error: 0.1))
    totals.add(SampleRecord.tensor(1, "b"))
    #expect(totals.compressedBitsPerWeight == 4.125)
    #expect(totals.fileBitsPerWeight == (4.125 + 16) / 2)
    totals.fileBytes = totals.sourceBytes
    #expect(totals.ratio == 1)
  }
}
