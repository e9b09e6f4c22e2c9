import Foundation
import Tensors

/// Finds step sizes for a model and an objective by looking at slopes where tuning starts.
enum TuningCalibration {
  /// Steps of probes have numbers of their own, far above any run's.
  static let firstProbe = 0xF000_0000

  /// The loss must change by this share of itself between the sides, or rounding has a say.
  static let leastChange = 1e-5

  /// - Parameter state: where tuning starts; its constants are ignored.
  /// - Throws: what running the model throws, `ZerothOrderError.neverFinite`.
  static func constants(
    _ state: TuningState, _ runner: SideRunner
  ) throws -> TuningConstants {
    let options = state.options
    let isLogarithmic = state.space.parameters.allSatisfy { $0.form == .logarithmic }
    var epsilon =
      options.epsilon ?? (isLogarithmic ? 1e-2 : options.relativeUnits ? 0.05 : 1e-3)
    var bound = Float.infinity
    if case .value(let value) = options.clip { bound = Float(value) }
    guard options.learningRate == nil || options.clip == .calibrated || options.epsilon == nil
    else {
      return TuningConstants(
        epsilon: Float(epsilon), learningRate: Float(options.learningRate ?? 0), clip: bound)
    }
    var slopes = try probe(state, runner, epsilon: epsilon)
    if options.epsilon == nil {
      for _ in 0..<3 where slopes.change < leastChange {
        epsilon *= 4
        slopes = try probe(state, runner, epsilon: epsilon)
      }
    }
    if options.clip == .calibrated, slopes.high > 0 { bound = Float(3 * slopes.high) }
    return TuningConstants(
      epsilon: Float(epsilon),
      learningRate: Float(options.learningRate ?? rate(state, high: slopes.high)), clip: bound)
  }

  /// The rate at which a step moves the coordinates by `relativeStep` of their length.
  private static func rate(_ state: TuningState, high: Double) -> Double {
    let options = state.options
    var (squares, count) = (0.0, 0.0)
    for parameter in state.space.parameters {
      switch parameter.form {
      case .logarithmic: squares += Double(parameter.count)
      case .absolute:
        let sum = state.coordinates[parameter.range].reduce(0.0) { $0 + Double($1) * Double($1) }
        squares += sum / Double(parameter.unit * parameter.unit)
      }
      count += Double(parameter.count)
    }
    // In units: the length of the coordinates over that of a direction.
    let length = (max(squares, 1e-12) / count).squareRoot()
    switch options.rule {
    case .adam, .sign: return options.relativeStep * length
    case .sgd, .momentum:
      guard high > 0 else { return options.relativeStep }
      // The mean of n slopes along n directions is shorter than one by √n.
      let sgd =
        options.relativeStep * length * Double(options.directions).squareRoot() / high
      return options.rule == .momentum ? sgd * (1 - options.beta1) : sgd
    }
  }

  /// The 90th percentile of |slope|, and the mean change of the loss relative to itself.
  private static func probe(
    _ state: TuningState, _ runner: SideRunner, epsilon: Double
  ) throws -> (high: Double, change: Double) {
    let probing = TuningState(
      space: state.space, start: state.coordinates, options: state.options,
      constants: TuningConstants(epsilon: Float(epsilon), learningRate: 0, clip: .infinity))
    var slopes: [Double] = []
    var (change, finite) = (0.0, 0)
    for number in 0..<state.options.probes {
      let losses = try probing.losses(runner, time: firstProbe + number)
      guard losses.isFinite else { continue }
      slopes += losses.slopes.map { Double(abs($0)) }
      change += losses.difference / max(Double(losses.loss), 1e-12)
      finite += 1
    }
    guard finite > 0 else { throw ZerothOrderError.neverFinite(steps: state.options.probes) }
    slopes.sort()
    return (slopes[min(slopes.count - 1, slopes.count * 9 / 10)], change / Double(finite))
  }
}
