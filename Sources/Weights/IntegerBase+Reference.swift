import Foundation
import Tensors

extension IntegerBase {
  /// Round-to-nearest in plain Swift, without a clip search: the oracle of the tests.
  static func reference(_ weight: Matrix<Float>, scheme: IntegerScheme) -> IntegerBase {
    let grid = scheme.grid
    let group = scheme.granularity == .tensor ? 0 : grid.groupLength(columns: weight.columns)
    let groups =
      group == 0
      ? [weight.values]
      : stride(from: 0, to: weight.values.count, by: group)
        .map { Array(weight.values[$0..<$0 + group]) }
    var codes: [UInt8] = []
    var scales: [Float] = []
    var zeros: [UInt8] = []
    for values in groups {
      let low = Double(min(values.min() ?? 0, 0))
      let high = Double(max(values.max() ?? 0, 0))
      let top = Double(grid.topCode)
      let ideal = scheme.symmetric ? max(-low, high) / (top / 2) : (high - low) / top
      let scale = low == high ? 1 : storedScale(Float(ideal), scheme: scheme)
      let zero =
        scheme.symmetric
        ? Double(1 << (scheme.bits - 1))
        : min(max(-low / Double(scale), 0), top).rounded(.toNearestOrEven)
      for value in values {
        let step = Double((value / scale).rounded(.toNearestOrEven))
        codes.append(UInt8(min(max(step + zero, 0), top)))
      }
      scales.append(scale)
      zeros.append(UInt8(zero))
    }
    return assembled(weight, scheme, codes: codes, scales: scales, zeros: zeros)
  }

  /// The stored form of a scale: rounded to its type, normal, and small enough that codes decode
  /// to finite numbers.
  private static func storedScale(_ scale: Float, scheme: IntegerScheme) -> Float {
    let room = Float(sign: .plus, exponent: -scheme.bits, significand: 1)
    switch scheme.scaleType {
    case .f16:
      return FloatConversion.float16(
        FloatConversion.float16Bits(min(max(scale, 0x1p-14), 65504)))
    case .bf16:
      let bounded = min(max(scale, .leastNormalMagnitude), 0x1.FEp127 * room)
      return FloatConversion.bfloat16(FloatConversion.bfloat16Bits(bounded))
    default:
      return min(max(scale, .leastNormalMagnitude), Float.greatestFiniteMagnitude * room)
    }
  }

  /// Packs row by row.
  private static func assembled(
    _ weight: Matrix<Float>, _ scheme: IntegerScheme, codes: [UInt8], scales: [Float],
    zeros: [UInt8]
  ) -> IntegerBase {
    let scaleRows = scheme.grid.scaleRows(rows: weight.rows)
    let scaleColumns = scales.count / max(scaleRows, 1)
    func packed(_ codes: [UInt8], rows: Int, columns: Int) -> Tensor {
      let bytes = (0..<rows).flatMap {
        PackedCodes.pack(Array(codes[$0 * columns..<($0 + 1) * columns]), bits: scheme.bits)
      }
      return Tensor(dtype: .u8, shape: [rows, bytes.count / max(rows, 1)], array: bytes)
    }
    return IntegerBase(
      grid: scheme.grid, rows: weight.rows, columns: weight.columns,
      codes: packed(codes, rows: weight.rows, columns: weight.columns),
      scales: .encoded(scales, as: scheme.scaleType, shape: [scaleRows, scaleColumns]),
      zeros: scheme.symmetric ? nil : packed(zeros, rows: scaleRows, columns: scaleColumns))
  }
}
