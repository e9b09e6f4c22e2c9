import Tensors

/// What a tensor's values are like.
///
/// Values that are not finite are counted and enter nothing else. Sums are taken in f64 over
/// pieces of fixed size in a fixed order, so the same values give the same digits whatever the
/// container is.
public struct TensorStatistics: Sendable, Hashable {
  /// The number of values.
  public internal(set) var count = 0
  /// How many are NaN or infinite.
  public internal(set) var nonFiniteCount = 0
  /// How many are 0 or −0.
  public internal(set) var zeroCount = 0
  /// The smallest and the largest finite value; nil without one.
  public internal(set) var minimum: Double?
  public internal(set) var maximum: Double?
  /// The mean of the finite values; 0 without one.
  public internal(set) var mean = 0.0
  var squaredDeviations = 0.0

  /// The finite values' number.
  public var finiteCount: Int { count - nonFiniteCount }

  /// The share of values that are 0; 0 for an empty tensor.
  public var zeroFraction: Double { count > 0 ? Double(zeroCount) / Double(count) : 0 }

  /// The standard deviation of the finite values (of the population: divided by their number).
  public var standardDeviation: Double {
    finiteCount > 0 ? (squaredDeviations / Double(finiteCount)).squareRoot() : 0
  }

  /// The statistics of no values.
  public init() {}

  /// The elements whose sums are taken together, and then merged.
  static let pieceElements = 1 << 16

  /// Reads a tensor through, piece by piece.
  public static func scan(
    _ source: any TensorSource, _ tensor: TensorDescription
  ) throws(CheckpointError) -> TensorStatistics {
    var statistics = TensorStatistics()
    let bytes = tensor.dtype.bytes
    var values = [Double](repeating: 0, count: min(pieceElements, tensor.shape.elementCount))
    try source.forEachChunk(of: tensor, maximumBytes: pieceElements * bytes * 8) { chunk, _ in
      for begin in stride(from: 0, to: chunk.count, by: pieceElements * bytes) {
        let piece = UnsafeRawBufferPointer(
          rebasing: chunk[begin..<min(begin + pieceElements * bytes, chunk.count)])
        values.withUnsafeMutableBufferPointer { target in
          let target = UnsafeMutableBufferPointer(rebasing: target[0..<piece.count / bytes])
          decode(piece, tensor.dtype, into: target)
          statistics.merge(TensorStatistics(of: UnsafeBufferPointer(target)))
        }
      }
    }
    return statistics
  }

  /// The statistics of one piece: the mean first, then the deviations from it.
  init(of values: UnsafeBufferPointer<Double>) {
    count = values.count
    var low = Double.infinity
    var high = -Double.infinity
    var sum = 0.0
    for value in values {
      guard value.isFinite else {
        nonFiniteCount += 1
        continue
      }
      if value == 0 { zeroCount += 1 }
      low = min(low, value)
      high = max(high, value)
      sum += value
    }
    guard finiteCount > 0 else { return }
    (minimum, maximum) = (low, high)
    mean = sum / Double(finiteCount)
    for value in values where value.isFinite {
      squaredDeviations += (value - mean) * (value - mean)
    }
  }

  /// Adds a later piece (Chan, Golub, LeVeque 1983: pairwise update of mean and deviations).
  mutating func merge(_ other: TensorStatistics) {
    let (mine, theirs) = (Double(finiteCount), Double(other.finiteCount))
    count += other.count
    nonFiniteCount += other.nonFiniteCount
    zeroCount += other.zeroCount
    guard theirs > 0 else { return }
    minimum = min(minimum ?? .infinity, other.minimum ?? .infinity)
    maximum = max(maximum ?? -.infinity, other.maximum ?? -.infinity)
    let difference = other.mean - mean
    mean += difference * (theirs / (mine + theirs))
    squaredDeviations +=
      other.squaredDeviations + difference * difference * (mine * theirs / (mine + theirs))
  }

  /// Wide types keep their digits; all others are exact in f32 on the way.
  private static func decode(
    _ bytes: UnsafeRawBufferPointer, _ dtype: DType, into target: UnsafeMutableBufferPointer<Double>
  ) {
    func each<Value: BitwiseCopyable>(_ type: Value.Type, _ convert: (Value) -> Double) {
      for index in target.indices {
        target[index] = convert(
          bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Value>.size, as: type))
      }
    }
    switch dtype {
    case .f64: each(Double.self) { $0 }
    case .f32: each(Float.self) { Double($0) }
    case .i64: each(Int64.self) { Double($0) }
    case .i32: each(Int32.self) { Double($0) }
    case .u64: each(UInt64.self) { Double($0) }
    case .u32: each(UInt32.self) { Double($0) }
    default:
      var floats = [Float](repeating: 0, count: target.count)
      floats.withUnsafeMutableBufferPointer {
        FloatConversion.decode(bytes, as: dtype, into: $0)
        for index in target.indices { target[index] = Double($0[index]) }
      }
    }
  }
}
