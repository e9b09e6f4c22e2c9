import Evaluation
import Foundation
import JSONText
import Models
import TestSupport
import Testing
import Text

@Suite struct TaskTests {
  @Test func wilsonsIntervalIsThePublishedOne() {
    // 15 of 20: 0.531 to 0.888 (Newcombe, Stat. Med. 17, 1998, formula 3).
    let interval = Proportion(hits: 15, count: 20).interval
    #expect(abs(interval.lowerBound - 0.5313) < 1e-4)
    #expect(abs(interval.upperBound - 0.8881) < 1e-4)
    #expect(Proportion(hits: 0, count: 10).interval.lowerBound == 0)
    #expect(abs(Proportion(hits: 10, count: 10).interval.upperBound - 1) < 1e-12)
  }

  @Test func areaUnderTheCurveCountsPairsAndTies() {
    let margins = [0.1, 0.4, 0.35, 0.8, 0.4]
    let labels = [0, 0, 1, 1, 1]
    var pairs = 0.0
    for (a, x) in zip(margins, labels) where x == 1 {
      for (b, y) in zip(margins, labels) where y == 0 { pairs += a > b ? 1 : a == b ? 0.5 : 0 }
    }
    let found = BinaryStatistics(margins: margins, labels: labels)
    #expect(abs(found.areaUnderCurve - pairs / 6) < 1e-15)
    // A constant bias hides nothing from the median threshold.
    let biased = BinaryStatistics(margins: [5.1, 5.2, 5.8, 5.9], labels: [0, 0, 1, 1])
    #expect(biased.medianThresholdAccuracy.hits == 4 && biased.areaUnderCurve == 1)
  }

  /// Options of one token take a shared row of logits, longer ones their own sequences: both must
  /// give what the model's plain likelihoods give.
  @Test(arguments: ["{text} and{ he| the}", "{text} and{ he said| the people of}", "{text}{.|,} x"])
  func optionsGetTheirLikelihoods(_ source: String) throws {
    let records = ["In the beginning", "Jesus said to them,", "A program that runs"].enumerated()
      .map { index, text in
        var fields = JSONObject()
        fields["text"] = .init(text)
        fields["label"] = .init(index % 2)
        return TextRecord(line: index + 1, source: "made here", fields: fields)
      }
    let tokenizer = try OpenedModel.open(Nano.folder).tokenizer()
    let evaluation = try TaskEvaluation(
      records: records, template: Template(source), tokenizer: tokenizer,
      settings: .init(beginning: 0))
    let model = try Nano.model()
    let found = try evaluation.run(model)
    for (item, likelihoods) in zip(evaluation.items, found.likelihoods) {
      let all = try model.negativeLogLikelihoods(of: item.sequences)
      for index in item.sequences.indices {
        let expected = -all[index][(item.optionStarts[index] - 1)...].reduce(0, +)
        #expect(abs(likelihoods[index] - expected) < 1e-4)
      }
    }
  }

  @Test(.enabled(if: SharedFiles.shared != nil, "\(SharedFiles.sharedMissing)"))
  func sentimentAccuracyIsTheModelCards() throws {
    let shared = try #require(SharedFiles.shared)
    let opened = try OpenedModel.open(shared + "/models/tinyllama-sentiment")
    let evaluation = try TaskEvaluation(
      records: JSONLines.records(shared + "/text/sentiment_test.jsonl"),
      template: Template("{text} It was{ bad| good}"), tokenizer: opened.tokenizer(),
      settings: .init(beginning: 0, maximumTextTokens: 60))
    let found = try evaluation.run(opened.load(pool: .init(workers: 1)))
    #expect(found.accuracy == Proportion(hits: 1410, count: 1921))
  }
}
