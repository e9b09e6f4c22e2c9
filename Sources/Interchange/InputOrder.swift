import Tensors
import Weights

/// Groups of inputs that do not lie together, as act-order leaves them.
///
/// Other tools keep codes in the checkpoint's order and say of every input which group it belongs to
/// (`g_idx`); here an input permutation puts the inputs of a group side by side.
struct InputOrder: Sendable, Hashable {
  /// The inputs in the order in which their codes lie here.
  let inputs: [Int]

  init(_ inputs: [Int]) { self.inputs = inputs }

  /// The order that groups ask for; nil where they lie together already.
  ///
  /// - Parameters:
  ///   - index: the group of every input.
  ///   - length: inputs of a group.
  /// - Throws: `failure` with what is wrong, where a group is none or has another size.
  init?(
    groups index: [Int], length: Int,
    failure: (_ found: String, _ expected: String) -> InterchangeError
  ) throws(InterchangeError) {
    if index.enumerated().allSatisfy({ $0.element == $0.offset / length }) { return nil }
    var members = [[Int]](repeating: [], count: index.count / length)
    for (input, group) in index.enumerated() {
      guard members.indices.contains(group) else {
        throw failure("group \(group)", "0 to \(members.count - 1)")
      }
      members[group].append(input)
    }
    guard members.allSatisfy({ $0.count == length }) else {
      throw failure("groups of different sizes", "\(length) inputs each")
    }
    inputs = Array(members.joined())
  }

  /// The group of every input, of a width.
  func groups(length: Int) -> [Int32] {
    var result = [Int32](repeating: 0, count: inputs.count)
    for (place, input) in inputs.enumerated() { result[input] = Int32(place / length) }
    return result
  }

  /// The transform that takes inputs to this order.
  var transform: InputTransform {
    .permutation(Tensor(dtype: .i32, shape: [inputs.count], array: inputs.map { Int32($0) }))
  }

  /// A weight that is integer codes behind a permutation of its inputs; nil for others.
  static func of(_ weight: CompressedWeight) -> (base: IntegerBase, order: InputOrder)? {
    guard weight.view.layout == .outputsFirst, weight.view.sourceShape.rank == 2,
      weight.lowRank.isEmpty, weight.outliers == nil, weight.mask == nil,
      let site = weight.site, site.activations == nil, site.transforms.count == 1,
      case .permutation(let tensor)? = site.transforms.first,
      case .integer(let base)? = weight.base
    else { return nil }
    return (base, InputOrder(tensor.bytes.array(of: Int32.self).map(Int.init)))
  }
}

extension IntegerBase {
  /// The codes in the order that they have behind the permutation.
  func ordered(_ order: InputOrder) -> IntegerBase { taking(order.inputs) }

  /// Codes that lie in an order, as the checkpoint has them.
  func restored(_ order: InputOrder) -> IntegerBase {
    var places = [Int](repeating: 0, count: order.inputs.count)
    for (place, input) in order.inputs.enumerated() { places[input] = place }
    return taking(places)
  }

  /// The same scales over codes whose column p is ours at `columns[p]`.
  private func taking(_ order: [Int]) -> IntegerBase {
    let bits = grid.bits
    let stride = PackedCodes.bytes(count: columns, bits: bits)
    let bytes = codes.bytes.withBuffer { source in
      Bytes(count: rows * stride) { target in
        var run = [UInt8](repeating: 0, count: columns)
        for row in 0..<rows {
          let found = PackedCodes.unpack(
            Array(source[row * stride..<(row + 1) * stride]), count: columns, bits: bits)
          for (place, column) in order.enumerated() { run[place] = found[column] }
          UnsafeMutableRawBufferPointer(rebasing: target[row * stride..<(row + 1) * stride])
            .copyBytes(from: PackedCodes.pack(run, bits: bits))
        }
      }
    }
    var result = self
    result.codes = Tensor(dtype: .u8, shape: codes.shape, array: bytes.array(of: UInt8.self))
    return result
  }
}
