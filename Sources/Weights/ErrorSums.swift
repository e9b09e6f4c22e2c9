import Foundation
import Kernels
import Tensors

/// Sums over pairs of an original and an approximation, from which the error metrics follow.
///
/// All sums are in f64 and merge with `+=`; sums of the same tiles in the same order are the same
/// bits on every machine.
public struct ErrorSums: Sendable, Hashable {
  /// Pairs seen.
  public var count: Int
  /// Σ(a − b)².
  public var squaredError: Double
  /// Σa².
  public var squaredOriginal: Double
  /// Σb².
  public var squaredApproximation: Double
  /// Σab.
  public var product: Double
  /// max |a − b|.
  public var maximumAbsolute: Double

  public init(
    count: Int = 0, squaredError: Double = 0, squaredOriginal: Double = 0,
    squaredApproximation: Double = 0, product: Double = 0, maximumAbsolute: Double = 0
  ) {
    self.count = count
    self.squaredError = squaredError
    self.squaredOriginal = squaredOriginal
    self.squaredApproximation = squaredApproximation
    self.product = product
    self.maximumAbsolute = maximumAbsolute
  }

  init(_ sums: PithErrorSums) {
    self.init(
      count: Int(sums.count), squaredError: sums.squared_error,
      squaredOriginal: sums.squared_original, squaredApproximation: sums.squared_approximation,
      product: sums.product, maximumAbsolute: sums.maximum_absolute_error)
  }

  /// The sums over two runs of equal length; another length is a bug of the caller.
  public init(
    original: UnsafeBufferPointer<Float>, approximation: UnsafeBufferPointer<Float>
  ) {
    precondition(original.count == approximation.count, "runs of equal length")
    var sums = PithErrorSums()
    pith_error_sums(original.baseAddress, approximation.baseAddress, original.count, &sums)
    self.init(sums)
  }

  /// The sums over two matrices of one shape.
  public static func comparing(
    _ original: Matrix<Float>, _ approximation: Matrix<Float>
  ) -> ErrorSums {
    original.values.withUnsafeBufferPointer { left in
      approximation.values.withUnsafeBufferPointer { right in
        ErrorSums(original: left, approximation: right)
      }
    }
  }

  /// Adds the sums of further pairs.
  public static func += (left: inout ErrorSums, right: ErrorSums) {
    left.count += right.count
    left.squaredError += right.squaredError
    left.squaredOriginal += right.squaredOriginal
    left.squaredApproximation += right.squaredApproximation
    left.product += right.product
    left.maximumAbsolute = max(left.maximumAbsolute, right.maximumAbsolute)
  }

  /// ‖a − b‖ / ‖a‖; 0 when both norms are 0, infinite when only the original's is.
  public var relativeFrobenius: Double {
    squaredError == 0 ? 0 : (squaredError / squaredOriginal).squareRoot()
  }

  /// 10·log10(Σa² / Σ(a − b)²); infinite without error, −infinite when the original is all zero.
  public var signalToNoiseDecibels: Double {
    if squaredError == 0 { return .infinity }
    return 10 * log10(squaredOriginal / squaredError)
  }

  /// Σab / (‖a‖·‖b‖); 1 when both are all zero, 0 when one is.
  public var cosine: Double {
    if squaredOriginal == 0, squaredApproximation == 0 { return 1 }
    if squaredOriginal == 0 || squaredApproximation == 0 { return 0 }
    return product / (squaredOriginal.squareRoot() * squaredApproximation.squareRoot())
  }

  /// Σ(a − b)² / count; 0 for nothing.
  public var meanSquaredError: Double { count == 0 ? 0 : squaredError / Double(count) }
}
