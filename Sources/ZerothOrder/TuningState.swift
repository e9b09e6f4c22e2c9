import Foundation
import Tensors

/// What calibration settled: all numbers that an update needs besides the slopes.
public struct TuningConstants: Sendable, Hashable {
  public var epsilon: Float
  public var learningRate: Float
  /// Infinity without a bound.
  public var clip: Float

  public init(epsilon: Float, learningRate: Float, clip: Float) {
    self.epsilon = epsilon
    self.learningRate = learningRate
    self.clip = clip
  }
}

/// The coordinates on their way, with what update rules remember.
///
/// A step's slopes are all that it takes from outside: training and replaying call the same
/// `apply`, so that a log of slopes is the run.
public struct TuningState: Sendable {
  public let space: ParameterSpace
  public let options: TuningOptions
  public let constants: TuningConstants
  public let directions: Directions
  /// The coordinates, `space.count`.
  public private(set) var coordinates: [Float]
  /// Steps taken, skipped ones counted.
  public private(set) var step = 0
  private var average: [Float]
  private var first: [Float]
  private var second: [Float]
  /// Updates of each block, for Adam's correction; the last one is of what is outside the blocks.
  private var updates: [Int]
  private var appliedSteps = 0
  private var skippedInARow = 0
  private var rateFactor: Float = 1

  /// Elements that one worker takes.
  private static let tile = 16 * 1024

  public init(
    space: ParameterSpace, start: [Float], options: TuningOptions, constants: TuningConstants
  ) {
    precondition(start.count == space.count, "\(start.count) coordinates for \(space.count)")
    self.space = space
    self.options = options
    self.constants = constants
    directions = Directions(
      kind: options.distribution, seed: options.seed, rank: options.rank,
      refresh: options.refresh)
    coordinates = start
    average = options.averaging > 0 ? start : []
    let needsFirst = options.rule == .momentum || options.rule == .adam
    first = needsFirst ? Array(repeating: 0, count: start.count) : []
    second = options.rule == .adam ? Array(repeating: 0, count: start.count) : []
    updates = Array(repeating: 0, count: space.blocks + 1)
  }

  /// What is evaluated and written: the running average where there is one.
  public var result: [Float] { options.averaging > 0 ? average : coordinates }

  /// The only block that this step moves; nil for all.
  ///
  /// What lies outside the blocks has a turn of its own, as block −1.
  var activeBlock: Int? {
    guard options.blockwise else { return nil }
    let hasOthers = space.parameters.contains { $0.block == nil }
    let turns = space.blocks + (hasOthers ? 1 : 0)
    let turn = step % max(turns, 1)
    return turn < space.blocks ? turn : -1
  }

  /// The learning rate of the step to come.
  var rate: Float {
    let progress = Double(step) / Double(options.steps)
    let factor =
      switch options.schedule {
      case .constant: 1.0
      case .linear: 1 - progress
      case .cosine: 0.5 * (1 + cos(Double.pi * progress))
      }
    return constants.learningRate * rateFactor * Float(factor)
  }

  /// Passes a step over whose loss was not finite; after three in a row the rate is halved.
  public mutating func skip() {
    step += 1
    skippedInARow += 1
    if skippedInARow % 3 == 0 { rateFactor /= 2 }
  }

  /// Skipped steps without a good one between them.
  public var skipped: Int { skippedInARow }

  /// Takes a step along the directions, each by its slope.
  ///
  /// - Parameter slopes: one a direction, clipped already.
  public mutating func apply(_ slopes: [Float], pool: WorkerPool = .serial) {
    precondition(slopes.count == options.directions, "a slope for each direction")
    let block = activeBlock
    let turn = block.map { $0 < 0 ? space.blocks : $0 } ?? space.blocks
    updates[turn] += 1
    let rule = StepRule(options, rate: rate, updates: updates[turn])
    for index in space.active(block: block) {
      update(index, slopes.map { $0 / Float(slopes.count) }, rule, pool)
    }
    step += 1
    skippedInARow = 0
    appliedSteps += 1
    if options.averaging > 0 {
      // The first steps' mean, then an exponential one: no pull to the start.
      let share = max(Float(1 - options.averaging), 1 / Float(appliedSteps + 1))
      for index in average.indices {
        average[index] += share * (coordinates[index] - average[index])
      }
    }
  }

  private mutating func update(
    _ index: Int, _ slopes: [Float], _ rule: StepRule, _ pool: WorkerPool
  ) {
    let parameter = space.parameters[index]
    let (space, directions, step) = (space, directions, step)
    coordinates.withUnsafeMutableBufferPointer { coordinates in
      first.withUnsafeMutableBufferPointer { first in
        second.withUnsafeMutableBufferPointer { second in
          // Tiles are disjoint ranges of the coordinates.
          let start = parameter.range.lowerBound
          nonisolated(unsafe) let theta = coordinates.baseAddress.map { $0 + start }
          nonisolated(unsafe) let m = first.baseAddress.map { $0 + start }
          nonisolated(unsafe) let v = second.baseAddress.map { $0 + start }
          pool.forEach((parameter.count + Self.tile - 1) / Self.tile) { (tile: Int) -> Void in
            guard let theta else { return }
            let elements = tile * Self.tile..<min((tile + 1) * Self.tile, parameter.count)
            let slope = directions.combined(
              slopes, parameter: parameter, elements: elements, step: step)
            let floors = parameter.kind == .scales && parameter.form == .absolute
            for (offset, element) in elements.enumerated() {
              if let threshold = parameter.threshold, abs(theta[element]) > threshold { continue }
              var value =
                theta[element]
                - rule.step(
                  slope[offset], m.map { $0 + element }, v.map { $0 + element },
                  unit: parameter.unit)
              if rule.decay > 0, parameter.kind == .dense { value -= rule.decay * theta[element] }
              theta[element] = floors ? max(value, space.floor(index, element)) : value
            }
          }
        }
      }
    }
  }
}

extension Directions {
  /// Σ slope_j · z_j over a step's directions, for some elements.
  func combined(
    _ slopes: [Float], parameter: Parameter, elements: Range<Int>, step: Int
  ) -> [Float] {
    var sum = [Float](repeating: 0, count: elements.count)
    var direction = [Float](repeating: 0, count: elements.count)
    for (query, slope) in slopes.enumerated() where slope != 0 {
      fill(&direction, parameter: parameter, elements: elements, step: step, query: query)
      for index in sum.indices { sum[index] += slope * direction[index] }
    }
    return sum
  }
}

/// What one step of a rule does with an element's slope.
private struct StepRule {
  let rule: TuningOptions.Rule
  let rate: Float
  let decay: Float
  private let beta1: Float
  private let beta2: Float
  private let correction1: Float
  private let correction2: Float

  init(_ options: TuningOptions, rate: Float, updates: Int) {
    rule = options.rule
    self.rate = rate
    decay = rate * Float(options.weightDecay)
    beta1 = Float(options.beta1)
    beta2 = Float(options.beta2)
    correction1 = Float(1 / (1 - pow(options.beta1, Double(updates))))
    correction2 = Float(1 / (1 - pow(options.beta2, Double(updates))))
  }

  /// The change that is taken off a coordinate.
  @inline(__always)
  func step(
    _ slope: Float, _ m: UnsafeMutablePointer<Float>?, _ v: UnsafeMutablePointer<Float>?,
    unit: Float
  ) -> Float {
    switch rule {
    case .sgd: return rate * unit * slope
    case .sign: return slope == 0 ? 0 : (slope > 0 ? rate : -rate) * unit
    case .momentum:
      guard let m else { return 0 }
      m.pointee = beta1 * m.pointee + slope
      return rate * unit * m.pointee
    case .adam:
      guard let m, let v else { return 0 }
      m.pointee = beta1 * m.pointee + (1 - beta1) * slope
      v.pointee = beta2 * v.pointee + (1 - beta2) * slope * slope
      return rate * unit * (m.pointee * correction1)
        / ((v.pointee * correction2).squareRoot() + 1e-8)
    }
  }
}
