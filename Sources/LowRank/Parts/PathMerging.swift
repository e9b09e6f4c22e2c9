import Tensors
import Weights

/// Low-rank paths folded into the base.
public enum PathMerging {
  /// What folding into codes did: most of a small update can vanish between two codes.
  public struct Report: Sendable, Hashable {
    public var codes: Int
    /// Codes that are others now.
    public var changed: Int
    /// Codes at either end of the grid whose value lies beyond it.
    public var clipped: Int
    /// ⟨ΔQ, ΔW⟩ / ‖ΔW‖²: 1 when all of the update arrived, 0 when none did.
    public var survived: Double
    /// ‖ΔQ − ΔW‖ / ‖ΔW‖: what the merged base is off by, measured by the update.
    public var relativeError: Double

    public init(codes: Int, changed: Int, clipped: Int, survived: Double, relativeError: Double) {
      self.codes = codes
      self.changed = changed
      self.clipped = clipped
      self.survived = survived
      self.relativeError = relativeError
    }
  }

  /// The weight without its paths, their product in the base.
  ///
  /// A dense base (or none) takes the sum exactly, in f32, and a mask goes, since the product fills
  /// it. An integer base keeps its scales and zero points, and every code becomes the one nearest to
  /// the sum; masked entries stay masked and lose their share. A base of
  /// other codes keeps its paths.
  ///
  /// - Returns: the weight, and for an integer base what became of the update; nil for a base in
  ///   which nothing was lost.
  public static func merged(
    _ weight: CompressedWeight
  ) -> (weight: CompressedWeight, report: Report?) {
    guard !weight.lowRank.isEmpty else { return (weight, nil) }
    var result = weight
    result.lowRank = []
    let before = weight.decodedBase()
    var paths = weight
    paths.base = nil
    paths.mask = nil
    paths.outliers = nil
    let update = paths.decodedSum()
    guard case .integer(let base)? = weight.base else {
      // Other codes than integers have no next one to move to.
      if weight.base?.isQuantized == true { return (weight, nil) }
      var sum = before
      for index in sum.values.indices { sum.values[index] += update.values[index] }
      result.base = .dense(sum)
      result.mask = nil
      return (result, nil)
    }
    let (codes, report) = recoded(base, decoded: weight.base?.decoded() ?? before, update)
    result.base = .integer(
      IntegerBase(
        grid: base.grid, rows: base.rows, columns: base.columns, codes: codes,
        scales: base.scales, zeros: base.zeros))
    let after = result.decodedBase()
    var (inner, square, error) = (0.0, 0.0, 0.0)
    for index in update.values.indices {
      let moved = Double(after.values[index]) - Double(before.values[index])
      let wanted = Double(update.values[index])
      inner += moved * wanted
      square += wanted * wanted
      error += (moved - wanted) * (moved - wanted)
    }
    var finished = report
    finished.survived = square > 0 ? inner / square : 1
    finished.relativeError = square > 0 ? (error / square).squareRoot() : 0
    return (result, finished)
  }

  /// Codes nearest to decoded + update on the base's own grid.
  ///
  /// A code moves by the update in steps of its scale from where it is, so zero points take no part:
  /// decoded values lie on the grid exactly.
  private static func recoded(
    _ base: IntegerBase, decoded: Matrix<Float>, _ update: Matrix<Float>
  ) -> (codes: Tensor, report: Report) {
    let scales = base.scales.floats()
    let bits = base.grid.bits
    let top = (1 << bits) - 1
    let reach = base.grid.reach(columns: base.columns)
    let perRow = base.grid.granularity == .tensor ? 0 : base.columns / max(reach, 1)
    let stored = base.codes.bytes.array(of: UInt8.self)
    let stride = PackedCodes.bytes(count: base.columns, bits: bits)
    var packed: [UInt8] = []
    var report = Report(
      codes: base.rows * base.columns, changed: 0, clipped: 0, survived: 0, relativeError: 0)
    for row in 0..<base.rows {
      var codes = PackedCodes.unpack(
        Array(stored[row * stride..<(row + 1) * stride]), count: base.columns, bits: bits)
      for column in 0..<base.columns {
        let scale = scales[perRow == 0 ? 0 : row * perRow + column / reach]
        let step = (update[row, column] / scale).rounded(.toNearestOrEven)
        let wanted = Int(codes[column]) + Int(max(-512, min(512, step)))
        let code = UInt8(min(max(wanted, 0), top))
        if wanted != Int(code) { report.clipped += 1 }
        if code != codes[column] { report.changed += 1 }
        codes[column] = code
      }
      packed += PackedCodes.pack(codes, bits: bits)
    }
    return (Tensor(dtype: .u8, shape: base.codes.shape, array: packed), report)
  }
}
