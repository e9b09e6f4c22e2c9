import Tensors
import Weights

/// Keras's integer modes that kernels of codes have variables in.
public enum KerasMode: String, Sendable, Hashable, CaseIterable {
  case int8, int4
}

/// A dense layer's kernel as Keras's own integer variables (Keras 3.15, `Dense.quantize`).
///
/// int8: codes in × out, and one scale an output, the inverse of ours. int4: two codes a byte along
/// the outputs, the first in the low half; with one scale an output as for int8, or with groups of inputs,
/// whose scales are as ours, with zero points and the group of each input beside them.
struct KerasIntegers {
  let mode: KerasMode
  let variables: [ExportTensor]

  /// Nil where a kernel has no such form.
  init?(
    _ name: String, _ weight: CompressedWeight, shape: Shape, names: [String],
    modes: Set<KerasMode>
  ) {
    guard shape.rank == 2, weight.view.layout == .outputsLast,
      weight.lowRank.isEmpty, weight.outliers == nil, weight.site == nil, weight.mask == nil,
      case .integer(let base)? = weight.base,
      let first = Self.numberAfterLast(of: name, in: names)
    else { return nil }
    let folder = String(name.dropLast(1))
    let isPerOutput = base.grid.symmetric && base.grid.granularity == .channel
    switch base.grid.bits {
    case 8 where modes.contains(.int8) && isPerOutput:
      mode = .int8
      variables = [
        Self.codes(name, base, [base.columns, base.rows]) { $0 },
        Self.inverseScales(folder + String(first), base),
      ]
    case 4 where modes.contains(.int4) && (isPerOutput || base.grid.groupLength != nil):
      mode = .int4
      let kernel = Self.codes(name, base, [base.columns, (base.rows + 1) / 2]) {
        Self.pairs($0, rows: base.columns, columns: base.rows)
      }
      guard let length = base.grid.groupLength else {
        variables = [kernel, Self.inverseScales(folder + String(first), base)]
        return
      }
      let groups = base.columns / length
      variables = [
        kernel,
        ExportTensor(folder + String(first), .f32, [groups, base.rows]) {
          Bytes(Self.transposed(base.scales.floats(), rows: base.rows, columns: groups))
        },
        ExportTensor(folder + String(first + 1), .i8, [groups, base.rows]) {
          let zeros = base.unpackedZeros().map { Int8($0) - 8 }
          return Bytes(Self.transposed(zeros, rows: base.rows, columns: groups))
        },
        ExportTensor(folder + String(first + 2), .f32, [base.columns]) {
          Bytes((0..<base.columns).map { Float($0 / length) })
        },
      ]
    default: return nil
    }
  }

  /// The first free number among a layer's variables: what belongs to the codes comes there.
  private static func numberAfterLast(of kernel: String, in names: [String]) -> Int? {
    guard kernel.hasSuffix("/vars/0") else { return nil }
    let folder = kernel.dropLast(1)
    return names.filter { $0.hasPrefix(folder) }.compactMap { Int($0.dropFirst(folder.count)) }
      .max().map { $0 + 1 }
  }

  /// Codes less their middle, in × out.
  private static func codes(
    _ name: String, _ base: IntegerBase, _ shape: [Int],
    pack: @escaping @Sendable ([Int8]) -> [Int8]
  ) -> ExportTensor {
    ExportTensor(name, .i8, shape, holding: 6 * base.rows * base.columns) {
      let middle = 1 << (base.grid.bits - 1)
      let codes = base.unpacked().codes.map { Int8(truncatingIfNeeded: Int($0) - middle) }
      return Bytes(pack(transposed(codes, rows: base.rows, columns: base.columns)))
    }
  }

  /// kernel = codes / kernel_scale there.
  private static func inverseScales(_ name: String, _ base: IntegerBase) -> ExportTensor {
    ExportTensor(name, .f32, [base.rows]) { Bytes(base.scales.floats().map { 1 / $0 }) }
  }

  /// Two 4-bit codes a byte; an odd last one stands with a zero.
  private static func pairs(_ codes: [Int8], rows: Int, columns: Int) -> [Int8] {
    let width = (columns + 1) / 2
    return (0..<rows * width).map { index in
      let start = index / width * columns + index % width * 2
      let high = index % width * 2 + 1 < columns ? codes[start + 1] : 0
      return Int8(bitPattern: UInt8(bitPattern: codes[start]) & 15 | UInt8(bitPattern: high) << 4)
    }
  }

  private static func transposed<Value>(_ values: [Value], rows: Int, columns: Int) -> [Value] {
    (0..<values.count).map { values[$0 % rows * columns + $0 / rows] }
  }
}
