import Tensors

/// What can be wrong with a weight, a scheme, or the parts that a file holds.
///
/// `part` names the dataset below the weight's own group, as in "base/scales" or "low_rank/0/b/codes".
public enum WeightsError: Error, Hashable, Sendable {
  // A scheme.
  case bitsOutOfRange(Int)
  case scaleTypeUnsupported(DType)
  case groupDoesNotDivide(group: Int, columns: Int)
  case clipSearchInvalid(steps: Int, maxShrink: Float)
  case rangeMissing
  case granularityNotForRows
  case patternInvalid(keep: Int, of: Int, columns: Int)
  case sparsityOutOfRange(Double)
  case rankOutOfRange(rank: Int, rows: Int, columns: Int)
  case countOutOfRange(count: Int, columns: Int)
  case factorTypeUnsupported(DType)
  case formatUnknown(String)
  case packingUnsupported(packing: String, format: String)
  case ruleUnsupported(rule: String, scales: String)
  case mixedNeedsGroups
  case planesOutOfRange(Int)
  case planesNeedGroups

  // Activations, keys and values.
  case activations(scheme: String, reason: String)
  case activationText(String)
  case keyValue(String)

  // Numbers.
  case notFinite(row: Int, column: Int)
  case valueNotFinite(part: String, index: Int)
  case scaleNotUsable(part: String, index: Int, value: Float)
  case decompositionFailed(String)

  // Parts.
  case elementType(part: String, expected: [DType], found: DType)
  case shape(part: String, expected: [Int], found: [Int])
  case paddingNotZero(part: String, row: Int)
  case classUnknown(part: String, index: Int, number: Int, count: Int)
  case codeUnknown(part: String, row: Int, column: Int, code: Int, format: String)
  case columnOutOfRange(part: String, index: Int, column: Int, columns: Int)
  case columnsNotAscending(part: String, index: Int)
  case notAPermutation(part: String, index: Int)
  case patternNumberOutOfRange(part: String, row: Int, group: Int, count: Int)
  case gapsInvalid(part: String, row: Int)
  case claimBroken(part: String, claim: String, row: Int, column: Int, kept: Int)
  case emptyWeight

  // The layout in a file.
  case missingPart(String)
  case unexpectedPart(String)
  case missingAttribute(part: String, name: String)
  case attribute(part: String, name: String, expected: String, found: String)
  case unknownVersion(found: Int, newest: Int)

  // What a method cannot do.
  case baseMissing(operation: String)
  case baseQuantized(operation: String)
  case sizesDiffer(operation: String, expected: [Int], found: [Int])
}
