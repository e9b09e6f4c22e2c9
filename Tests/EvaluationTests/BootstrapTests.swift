import Evaluation
import Foundation
import Tensors
import Testing

@Suite struct BootstrapTests {
  @Test func theSameSeedGivesTheSameResamples() {
    let sums = (0..<40).map { Double($0 * $0 % 17) }
    let counts = Array(repeating: 8.0, count: 40)
    let first = Bootstrap(windows: 40, seed: 3).ratios(sums: sums, counts: counts)
    #expect(first == Bootstrap(windows: 40, seed: 3).ratios(sums: sums, counts: counts))
    #expect(first != Bootstrap(windows: 40, seed: 4).ratios(sums: sums, counts: counts))
  }

  @Test func theErrorOfAMeanIsTheTextbooks() {
    let sums = Philox(seed: 5).normals(count: 400, purpose: .sketch).map(Double.init)
    let counts = Array(repeating: 1.0, count: 400)
    let bootstrap = Bootstrap.standardError(
      Bootstrap(windows: 400).ratios(sums: sums, counts: counts))
    let formula = Estimate.mean(sums: sums, counts: counts).standardError
    // 1000 resamples know a deviation to 2 %; the bar is four times that.
    #expect(abs(bootstrap / formula - 1) < 0.09)
  }

  /// Tokens that repeat within a window carry less than their number says.
  @Test func windowsNotTokensAreResampled() {
    let windows = Philox(seed: 6).normals(count: 100, purpose: .sketch).map(Double.init)
    let counts = Array(repeating: 50.0, count: 100)
    let found = Bootstrap.standardError(
      Bootstrap(windows: 100).ratios(sums: windows.map { 50 * $0 }, counts: counts))
    let asIfIndependent = found / 50.0.squareRoot()
    #expect(found > 0.08 && asIfIndependent < 0.02)
  }

  @Test func quantilesOfResamplesEqualASlowComputation() {
    let values = (0..<30).map { Double(($0 * 7) % 30) }
    let offsets = [0, 4, 10, 21, 30]
    let bootstrap = Bootstrap(windows: 4, replicates: 50, seed: 9)
    let found = bootstrap.quantiles(values, offsets: offsets, [0.5, 0.9, 1])
    // How often a replicate holds a window, read off the mean of an indicator.
    let counts = [Double](repeating: 1, count: 4)
    let shares = (0..<4).map { window in
      bootstrap.ratios(sums: (0..<4).map { $0 == window ? 1 : 0 }, counts: counts)
    }
    for replicate in 0..<50 {
      var tokens: [Double] = []
      for window in 0..<4 {
        for _ in 0..<Int((shares[window][replicate] * 4).rounded()) {
          tokens += values[offsets[window]..<offsets[window + 1]]
        }
      }
      for (index, fraction) in [0.5, 0.9, 1].enumerated() {
        #expect(found[index][replicate] == Bootstrap.quantile(tokens, fraction))
      }
    }
  }
}
