import Weights

extension CompressedWeight {
  /// The bytes that the parts take in memory.
  var residentBytes: Int {
    var total = base?.residentBytes ?? 0
    if let mask { total += mask.bits.bytes.count }
    if let outliers { total += outliers.columns.bytes.count + outliers.values.bytes.count }
    for path in lowRank {
      total += path.a.residentBytes + path.b.residentBytes + (path.sigma?.bytes.count ?? 0)
    }
    return total
  }
}

extension Base {
  /// The bytes of the payload.
  var residentBytes: Int {
    payloads.reduce(0) { $0 + $1.bytes.count }
  }
}
