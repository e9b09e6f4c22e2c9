import Evaluation
import Foundation
import Testing
import Text

@Suite struct PerplexityTests {
  /// NumPy in f64 on the ids of the `tokenizers` package gives 3.05159961 ± 0.03946008 for the
  /// first 64 windows of 128 tokens.
  @Test func denseEqualsAnIndependentComputation() throws {
    let cut = try Nano.windows()
    #expect(cut.length == 128 && cut.windows.count == 64 && cut.scoredCount == 64 * 127)
    let found = Perplexity(try WindowScoring.run([Nano.model()], windows: cut.windows)[0])
    #expect(abs(found.negativeLogLikelihood.value - 3.0515996094559594) < 1e-6)
    #expect(abs(found.negativeLogLikelihood.standardError - 0.03946008093675988) < 1e-6)
    #expect(abs(found.estimate.value - 21.149147756) < 2e-5)
  }

  @Test func roundingCostsLittleAtEightBitsAndMuchAtTwo() throws {
    let windows = try Nano.windows(.init(sequences: 24)).windows
    let scores = try WindowScoring.run(
      [Nano.model(), Nano.model(bits: 8), Nano.model(bits: 2)], windows: windows)
    let found = scores.map { Perplexity($0).estimate.value }
    #expect(abs(found[1] / found[0] - 1) < 0.005)
    #expect(found[2] > 1.1 * found[0])
  }

  @Test func workersDoNotChangeABit() throws {
    let windows = try Nano.windows(.init(sequences: 24)).windows
    let one = try WindowScoring.run(
      [Nano.model(bits: 4)], reference: Nano.model(), windows: windows)
    let two = try WindowScoring.run(
      [Nano.model(bits: 4, workers: 2)], reference: Nano.model(workers: 2), windows: windows)
    #expect(one == two)
  }

  @Test func overlapAndBeginningTokenScoreEveryTokenOnce() throws {
    let plain = try Nano.windows(.init(length: 64, sequences: 9))
    let overlapping = try Nano.windows(.init(length: 64, sequences: 33, stride: 16))
    let begun = try Nano.windows(.init(length: 64, sequences: 9, withBeginning: true))
    #expect(plain.scoredCount == 9 * 63)
    #expect(overlapping.scoredCount == 63 + 32 * 16)
    #expect(begun.scoredCount == 9 * 63 && begun.windows.allSatisfy { $0.tokens[0] == 0 })
    func loss(_ cut: EvaluationWindows) throws -> Double {
      let scores = try WindowScoring.run([Nano.model()], windows: cut.windows)[0]
      #expect(scores.count == cut.scoredCount)
      return Perplexity(scores).negativeLogLikelihood.value
    }
    // More context makes a text more likely; that is what overlap is for.
    #expect(try loss(overlapping) < loss(plain) - 0.05)
  }

  @Test func windowsOfATextThatIsShortAreFewerUnlessTheirNumberWasGiven() throws {
    #expect(try Nano.windows(.init(length: 128)).windows.count == 256)
    #expect(throws: TextError.self) { try Nano.windows(.init(length: 128, sequences: 5000)) }
  }

  @Test func standardErrorOfEqualWindowsIsTheTextbooks() {
    let estimate = Estimate.mean(sums: [2, 4, 9], counts: [2, 2, 2])
    #expect(abs(estimate.value - 2.5) < 1e-15)
    // Window means 1, 2, 4.5 have the deviation 1.802776; over √3 of them.
    #expect(abs(estimate.standardError - 1.8027756377319946 / 3.0.squareRoot()) < 1e-12)
  }
}
