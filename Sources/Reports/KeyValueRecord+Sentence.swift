import RunRecords

extension KeyValueRecord.Size {
  /// What the cache takes, dense and rounded.
  var sentence: String {
    "\(tokens) tokens: \(Format.bytes(denseBytes)) as f16, \(Format.bytes(storedBytes)) rounded, "
      + "\(Format.fixed(bitsPerNumber, 2)) bits a number"
  }
}
