import Foundation
import Kernels
import LinearAlgebra
import Tensors
import Testing

@testable import Quantization
@testable import Weights

@Suite("Weights within their grids' ranges")
struct HeldWeightsTests {
  /// Not a multiple of a panel's columns, more rows than go together.
  private static let width = 104
  private static let rows = 300
  private let weights = Sample.normals(Self.rows, Self.width, seed: 21)

  /// H over its mean diagonal, damped; the factor's order is the inputs' backwards.
  private func metric(damping: Double = 0.01) throws -> (Matrix<Double>, SweepFactor<Float>) {
    let gram = try GPTQSample.gram(width: Self.width)
    let mean = (0..<Self.width).reduce(0.0) { $0 + gram[$1, $1] } / Double(Self.width)
    var sum = gram
    for index in sum.values.indices { sum.values[index] /= mean }
    for index in 0..<Self.width { sum[index, index] += damping }
    let damped = sum
    let found = try Cholesky.factor(order: Self.width) {
      (row: Int, target: UnsafeMutablePointer<Double>) -> Void in
      for column in 0...row {
        target[column] = damped[Self.width - 1 - row, Self.width - 1 - column]
      }
    }
    let factor = SweepFactor<Float>(order: Self.width, pages: PageCache()) { target in
      for (index, value) in found.factor.values.enumerated() { target[index] = Float(value) }
    }
    return (damped, factor)
  }

  /// What was found for all rows: t by rows and positions, and what holds it.
  private struct Found {
    let values: SweepRows<Float>
    let held: HeldWeights

    /// t of a row's input.
    subscript(row: Int, input: Int) -> Float { values[row, HeldWeightsTests.width - 1 - input] }
    var all: [Float] {
      (0..<HeldWeightsTests.rows).flatMap { row in
        (0..<HeldWeightsTests.width).map { self[row, $0] }
      }
    }
  }

  private func bounded(
    _ factor: SweepFactor<Float>, limit: Float, passes: Int, tile: Int = 128
  ) -> Found {
    // Two ranges a row, one of them not symmetric.
    let limits = (0..<Self.rows).flatMap { _ in [limit, 0.5 * limit] }
    let ends = GridEnds(
      low: limits.map { -$0 }, high: limits.enumerated().map { $0 % 2 == 0 ? $1 : 3 * $1 },
      ranges: 2)
    let inputs = Array((0..<Self.width).reversed())
    let bounds = SweepBounds(
      factor: factor, inputs: inputs,
      gridIndex: (0..<Self.width).map { Int32((Self.width - 1 - $0) / 52) }, passes: passes,
      pages: PageCache(), pool: .serial)
    let target = SweepTarget(weights)
    let values = SweepRows<Float>(
      rows: Self.rows, tile: tile, width: Self.width, pages: PageCache())
    let held = values.gather(target, rows: 0..<Self.rows, within: ends, by: bounds)
    return Found(values: values, held: held)
  }

  @Test("the panels hold the inverse")
  func inverse() throws {
    let (damped, factor) = try metric()
    let panels = PanelInverse(
      factor: factor, pages: PageCache(), pool: WorkerPool(workers: 2))
    let panel = Int(PITH_BOUND_PANEL)
    for row in stride(from: 0, to: Self.width, by: 9) {
      for column in 0..<Self.width {
        var sum = 0.0
        for k in 0..<Self.width {
          let inverse = panels.panels[(k / panel * Self.width + row) * panel + k % panel]
          sum += Double(inverse) * damped[Self.width - 1 - k, Self.width - 1 - column]
        }
        #expect(abs(sum - (row == column ? 1 : 0)) < 1e-3)
      }
    }
  }

  @Test("after many passes it is the constrained minimum: what its conditions ask for, in f64")
  func conditions() throws {
    let (damped, factor) = try metric()
    let limit: Float = 1.5
    let found = bounded(factor, limit: limit, passes: 60)
    #expect(found.held.count > Self.rows && found.held.count < Self.rows * Self.width / 4)
    for row in stride(from: 0, to: Self.rows, by: 13) {
      var multipliers = [Double](repeating: 0, count: Self.width)
      for held in found.held[row] {
        multipliers[Self.width - 1 - Int(held.position)] = Double(held.value)
      }
      for column in 0..<Self.width {
        let high = column < 52 ? limit : 1.5 * limit
        let low = column < 52 ? -limit : -0.5 * limit
        let value = found[row, column]
        #expect(value <= high + 2e-3 && value >= low - 2e-3)
        // λ = (w − t)·H', on the limit it pushes to, and zero elsewhere.
        var gradient = 0.0
        for k in 0..<Self.width {
          gradient += Double(weights[row, k] - found[row, k]) * damped[k, column]
        }
        #expect(abs(gradient - multipliers[column]) < 2e-3)
        if multipliers[column] > 0 { #expect(abs(value - high) < 2e-3) }
        if multipliers[column] < 0 { #expect(abs(value - low) < 2e-3) }
      }
    }
  }

  @Test("the kernel is its plain twin, pass by pass", arguments: [1, 2, 3])
  func twin(passes: Int) throws {
    let (_, factor) = try metric()
    let limit: Float = 1.2
    let found = bounded(factor, limit: limit, passes: passes)
    let panels = PanelInverse(factor: factor, pages: PageCache(), pool: .serial)
    let panel = Int(PITH_BOUND_PANEL)
    func inverse(_ row: Int, _ column: Int) -> Double {
      Double(panels.panels[(column / panel * Self.width + row) * panel + column % panel])
    }
    for row in stride(from: 0, to: Self.rows, by: 7) {
      var multipliers = [Double](repeating: 0, count: Self.width)
      func value(_ position: Int) -> Double {
        multipliers.indices.reduce(Double(weights[row, Self.width - 1 - position])) {
          $0 - multipliers[$1] * inverse($1, position)
        }
      }
      func range(_ position: Int) -> (low: Double, high: Double) {
        Self.width - 1 - position < 52
          ? (Double(-limit), Double(limit)) : (Double(-0.5 * limit), Double(1.5 * limit))
      }
      for _ in 0..<passes {
        for first in stride(from: 0, to: Self.width, by: panel).reversed() {
          for _ in 0..<2 {
            // Those that lie outside when a visit begins, or are held.
            let visited = (first..<min(first + panel, Self.width)).reversed().filter {
              let (low, high) = range($0)
              return multipliers[$0] != 0 || !(low...high).contains(value($0))
            }
            for position in visited {
              let pivot = inverse(position, position)
              let free = value(position) + multipliers[position] * pivot
              let (low, high) = range(position)
              multipliers[position] = (free - min(max(free, low), high)) / pivot
            }
          }
        }
      }
      for position in 0..<Self.width {
        #expect(abs(Double(found[row, Self.width - 1 - position]) - value(position)) < 2e-3)
      }
    }
  }

  @Test("what moving costs is λ·(w − t), and a row beyond f32 stays as it is")
  func costs() throws {
    let (_, factor) = try metric()
    let found = bounded(factor, limit: 1.2, passes: 2)
    for row in stride(from: 0, to: Self.rows, by: 11) {
      let cost = found.held[row].reduce(0.0) {
        let input = Self.width - 1 - Int($1.position)
        return $0 + Double($1.value) * (Double(weights[row, input]) - Double(found[row, input]))
      }
      #expect(cost >= 0 && abs(found.held.costs[row] - cost) <= 1e-9 * (1 + cost))
    }
    // A multiplier of 3e38 over a small pivot leaves f32.
    let broken = bounded(factor, limit: -.greatestFiniteMagnitude, passes: 1)
    #expect(broken.held.count == 0 && broken.all == weights.values)
  }

  @Test("nothing to move: the weights themselves; tiles change nothing")
  func fixedPoints() throws {
    let (_, factor) = try metric()
    let wide = bounded(factor, limit: 50, passes: 3)
    #expect(wide.held.count == 0 && wide.all == weights.values)
    let one = bounded(factor, limit: 1.2, passes: 2)
    let other = bounded(factor, limit: 1.2, passes: 2, tile: 32)
    #expect(one.all == other.all && one.held.count == other.held.count)
    #expect(one.all != weights.values)
  }

  /// Inputs that are mixed and of different loudness: none stands out, and each can make good a
  /// little of what another loses.
  private func mixedGram(_ width: Int) throws -> Matrix<Double> {
    let mix = Sample.normals(width, width, seed: 31)
    let raw = Sample.normals(2 * width, width, seed: 32)
    let loudness = Sample.normals(1, width, seed: 33)
    var inputs = try raw.multiplied(by: mix)
    for row in 0..<inputs.rows {
      for column in 0..<width {
        let share = 1.2 / Float(width).squareRoot()
        let value = raw[row, column] + share * inputs[row, column]
        inputs[row, column] = value * Float(exp(0.5 * Double(loudness[0, column])))
      }
    }
    return try Syrk.gramInDouble(inputs)
  }

  @Test("with it a sweep loses less at every width of codes, and its report is true")
  func gains() throws {
    let width = 256
    let weights = Sample.normals(96, width, seed: 34)
    let gram = try mixedGram(width)
    let energy = try WeightedError.of(weights, gram: gram)
    for (bits, bar) in [(4, 0.95), (3, 0.88), (2, 0.82)] {
      let scheme = try IntegerScheme(
        bits: bits, symmetric: false, granularity: .group(128), clip: .meanSquare())
      for refit in [false, true] {
        func run(_ options: GPTQOptions) throws -> (GPTQReport, Double) {
          let (found, report) = try GPTQ.quantize(
            .dense(weights), gram: gram, scheme: scheme, options: options)
          try found.validate()
          return (report, try GPTQSample.loss(found, weights, gram))
        }
        let (plain, before) = try run(GPTQOptions(refit: refit, bounded: false))
        let (report, after) = try run(GPTQOptions(refit: refit))
        #expect(plain.heldWeights == 0 && report.heldWeights > 0)
        #expect(after < bar * before)
        #expect(abs(report.weightedError - after * energy) <= 1e-3 * after * energy)
      }
    }
  }

  @Test(
    "finer grids are chosen where what is held costs little, and not where nothing is made good")
  func narrowing() throws {
    let width = 512
    let weights = Sample.normals(96, width, seed: 34)
    let scheme = try GPTQSample.scheme(4, group: 128, clip: .meanSquare())
    func scales(_ gram: Matrix<Double>, bounded: Bool) throws -> [UInt8] {
      try GPTQ.quantize(
        .dense(weights), gram: gram, rows: 2 * width, scheme: scheme,
        options: GPTQOptions(refit: false, bounded: bounded)
      ).weight.scaleBytes
    }
    let mixed = try mixedGram(width)
    #expect(try scales(mixed, bounded: true) != scales(mixed, bounded: false))
    let alone = Matrix<Double>.identity(width)
    #expect(try scales(alone, bounded: true) == scales(alone, bounded: false))
  }

  @Test("less damping where there is text enough, and only where nobody asked for another")
  func damping() throws {
    let gram = try mixedGram(64)
    let weights = Sample.normals(8, 64, seed: 35)
    func used(_ bits: Int, rows: Int?, _ options: GPTQOptions) throws -> Double {
      try GPTQ.quantize(
        .dense(weights), gram: gram, rows: rows, scheme: GPTQSample.scheme(bits),
        options: options
      ).report.dampingUsed
    }
    #expect(try used(4, rows: 128, GPTQOptions()) == 0.003)
    #expect(try used(3, rows: 128, GPTQOptions()) == 0.005)
    #expect(try used(2, rows: 128, GPTQOptions()) == 0.01)
    for options in [
      GPTQOptions(damping: 0.01), GPTQOptions(order: .none), GPTQOptions(bounded: false),
      GPTQOptions(weakColumns: 2),
    ] {
      #expect(try used(4, rows: 128, options) == 0.01)
    }
    for rows in [nil, 127] { #expect(try used(4, rows: rows, GPTQOptions()) == 0.01) }
  }
}
