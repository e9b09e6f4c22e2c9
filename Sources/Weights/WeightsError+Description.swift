import Tensors

extension WeightsError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .bitsOutOfRange(let bits):
      "\(bits) bits: an integer grid has 2 to 8"
    case .scaleTypeUnsupported(let type):
      "scales cannot be stored as '\(type.rawValue)'; use f32, f16 or bf16"
    case .groupDoesNotDivide(let group, let columns):
      "groups of \(group) inputs do not divide a width of \(columns); "
        + "choose a divisor of it, or let the group fall back"
    case .clipSearchInvalid(let steps, let maxShrink):
      "a clip search of \(steps) steps to a shrink of \(maxShrink): "
        + "it needs at least 1 step and a shrink of at least 0 and below 1"
    case .rangeMissing:
      "one scale for a whole tensor needs the tensor's range before its rows can be encoded"
    case .mixedNeedsGroups:
      "bits by groups need groups of inputs, not a scale per channel or tensor"
    case .planesOutOfRange(let planes):
      "\(planes) planes of ±1: it must be from 1 to 4"
    case .planesNeedGroups:
      "planes of ±1 take a scale per group or channel, not one for the whole tensor"
    case .granularityNotForRows:
      "a range was given, but the scheme has a scale per channel or group; leave the range out"
    case .patternInvalid(let keep, let of, let columns):
      "a pattern that keeps \(keep) of \(of) does not fit \(columns) inputs: it needs "
        + "0 < keep < of, and 'of' must divide the width"
    case .sparsityOutOfRange(let sparsity):
      "a sparsity of \(sparsity): it is a fraction from 0 to 1"
    case .rankOutOfRange(let rank, let rows, let columns):
      "rank \(rank) of a \(rows) × \(columns) matrix: it must be from 1 to \(min(rows, columns))"
    case .countOutOfRange(let count, let columns):
      "\(count) outlier columns of \(columns): it must be from 0 to \(columns)"
    case .factorTypeUnsupported(let type):
      "factors cannot be stored as '\(type.rawValue)'; use f32, f16 or bf16"
    case .formatUnknown(let name):
      "'\(name)' is no number format; docs/formats.md lists them"
    case .packingUnsupported(let packing, let format):
      "packing '\(packing)' does not hold codes of '\(format)'"
    case .ruleUnsupported(let rule, let scales):
      "the rule '\(rule)' gives powers of two, and scales here are '\(scales)'; use 'e8m0'"
    case .notFinite(let row, let column):
      "output \(row), input \(column) is NaN or infinite; repair the checkpoint"
    case .valueNotFinite(let part, let index):
      "'\(part)': element \(index) is NaN or infinite"
    case .scaleNotUsable(let part, let index, let value):
      "'\(part)': element \(index) is \(value); a scale is positive, finite and normal"
    case .decompositionFailed(let reason):
      "the singular value decomposition failed: \(reason)"
    case .activations(let scheme, let reason):
      "activations as \(scheme): \(reason)"
    case .activationText(let text):
      "'\(text)' names no rounding of activations; expected one of "
        + (ActivationScheme.Format.allCases.map(\.rawValue) + [
          "fp8", "fp4", "mxfp4", "mxfp8", "nvfp4",
        ])
        .joined(separator: ", ") + ", then '/asym' or a run of inputs such as '/g32' where wanted"
    case .keyValue(let reason):
      "key-value cache: \(reason)"
    default: descriptionOfParts
    }
  }

  private var descriptionOfParts: String {
    switch self {
    case .elementType(let part, let expected, let found):
      "'\(part)': element type '\(found.rawValue)', expected "
        + expected.map { "'\($0.rawValue)'" }.joined(separator: " or ")
    case .shape(let part, let expected, let found):
      "'\(part)': shape \(found), expected \(expected)"
    case .paddingNotZero(let part, let row):
      "'\(part)': row \(row) has bits set beyond its last entry"
    case .classUnknown(let part, let index, let number, let count):
      "'\(part)': group \(index) is of class \(number), but there are \(count)"
    case .codeUnknown(let part, let row, let column, let code, let format):
      "'\(part)': code \(code) in row \(row), column \(column) stands for nothing in '\(format)'"
    case .columnOutOfRange(let part, let index, let column, let columns):
      "'\(part)': element \(index) is column \(column), but there are \(columns)"
    case .columnsNotAscending(let part, let index):
      "'\(part)': element \(index) is not above the one before it"
    case .notAPermutation(let part, let index):
      "'\(part)': element \(index) repeats an index or lies outside; expected a permutation"
    case .patternNumberOutOfRange(let part, let row, let group, let count):
      "'\(part)': row \(row), group \(group) names a pattern beyond the \(count) there are"
    case .gapsInvalid(let part, let row):
      "'\(part)': row \(row) does not end with its last survivor inside the row"
    case .claimBroken(let part, let claim, let row, let column, let kept):
      "'\(part)': \(kept) entries are kept at row \(row), column \(column), which a sparsity of "
        + "\(claim) does not allow"
    case .emptyWeight:
      "the weight has neither a base nor factors"
    case .missingPart(let part):
      "'\(part)' is missing"
    case .unexpectedPart(let part):
      "'\(part)' does not belong to the weight"
    case .missingAttribute(let part, let name):
      "\(place(part)): attribute '\(name)' is missing"
    case .attribute(let part, let name, let expected, let found):
      "\(place(part)): attribute '\(name)' is '\(found)', expected \(expected)"
    case .unknownVersion(let found, let newest):
      "weight layout version \(found); this program reads up to \(newest): use a newer one"
    case .baseMissing(let operation):
      "\(operation) needs a base, and factors alone stand for this weight"
    case .baseQuantized(let operation):
      "\(operation) needs a dense base, and this one is quantized: put the stage before quantize"
    case .sizesDiffer(let operation, let expected, let found):
      "\(operation): size \(found), expected \(expected)"
    default: "a weight's error"
    }
  }

  /// A part's name, or the group itself.
  private func place(_ part: String) -> String {
    part.isEmpty ? "the weight's group" : "'\(part)'"
  }
}
