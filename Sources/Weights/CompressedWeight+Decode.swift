import Tensors

extension CompressedWeight {
  /// A weight that holds plain numbers and nothing else.
  public static func dense(
    _ matrix: Matrix<Float>, view: WeightView? = nil, as dtype: DType = .f32
  ) -> CompressedWeight {
    let view = view ?? WeightView(rows: matrix.rows, columns: matrix.columns)
    precondition(
      view.rows == matrix.rows && view.columns == matrix.columns,
      "\(matrix.rows) × \(matrix.columns) for \(view.sourceShape)")
    return CompressedWeight(view: view, base: .dense(matrix, as: dtype))
  }

  /// base ⊙ mask of some rows; zeros without a base.
  public func decodedBase(
    rows range: Range<Int>? = nil, pool: WorkerPool = .serial
  ) -> Matrix<Float> {
    let range = range ?? 0..<rows
    guard let base else { return Matrix(rows: range.count, columns: columns, repeating: 0) }
    let (columns, mask) = (columns, mask)
    return Matrix(rows: range.count, columns: columns) { target in
      // Parts have rows of their own.
      nonisolated(unsafe) let start = target.baseAddress
      let length = pool.workers > 1 ? 512 : max(range.count, 1)
      pool.forEach((range.count + length - 1) / length) { (part: Int) -> Void in
        guard let start else { return }
        let first = part * length
        let part =
          range.lowerBound + first..<min(range.lowerBound + first + length, range.upperBound)
        base.decode(rows: part, into: start + first * columns)
        mask?.apply(to: start + first * columns, rows: part, columns: columns)
      }
    }
  }

  /// The sum of all parts as T(x) meets it, without T: base ⊙ mask + outliers + Σ s·B·diag(σ)·A.
  public func decodedSum(rows range: Range<Int>? = nil) -> Matrix<Float> {
    let range = range ?? 0..<rows
    var result = decodedBase(rows: range)
    let factors = lowRank.map { $0.scaledA() }
    result.values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      outliers?.add(to: start, rows: range, width: columns)
      for (path, a) in zip(lowRank, factors) { path.add(to: start, rows: range, scaledA: a) }
    }
    return result
  }

  /// The dense weight that the parts stand for, for the original inputs: Ŵ · T.
  public func decoded(rows range: Range<Int>? = nil) -> Matrix<Float> {
    var result = decodedSum(rows: range)
    site?.fold(into: &result)
    return result
  }

  /// The dense weight in the checkpoint's own axis order.
  public func decodedInSourceLayout() -> [Float] { view.sourceValues(of: decoded()) }

  /// Every stored tensor: two weights that share a `Bytes` object store it once.
  public var payloads: [Tensor] {
    var result = base?.payloads ?? []
    if let mask { result.append(mask.bits) }
    if let outliers { result += [outliers.columns, outliers.values] }
    for path in lowRank { result += path.payloads }
    if let site { result += site.payloads }
    return result
  }

  /// The bytes of all payloads.
  ///
  /// Codes with their padding, scales, zero points, mask, outliers, factors, transforms. A payload that the weight shares with another counts in both.
  public var storedBytes: Int { payloads.reduce(0) { $0 + $1.bytes.count } }

  /// Stored bits for each entry of the original weight.
  public var bitsPerWeight: Double {
    let entries = rows * columns
    return entries == 0 ? 0 : Double(storedBytes) * 8 / Double(entries)
  }

  /// The mask, of survivors alone too; nil where all entries count.
  public var unpackedMask: Mask? {
    if case .sparse(let sparse)? = base { return sparse.mask }
    return mask
  }

  /// The fraction of the base's entries that the mask drops; 0 without a mask.
  public var maskedFraction: Double {
    let entries = rows * columns
    guard entries > 0 else { return 0 }
    if case .sparse(let sparse)? = base {
      return 1 - Double(sparse.survivorCount) / Double(entries)
    }
    guard let mask else { return 0 }
    return 1 - Double(mask.keptCount) / Double(entries)
  }
}
