import Foundation
import Kernels
import Tensors

/// A scale format with its factor: what a scale becomes when it is stored by itself.
struct ScaleStore: Sendable {
  let format: ScaleFormat
  /// Of `e4m3`: what the bytes' values are multiplied by.
  var factor: Float = 1

  init(_ format: ScaleFormat, factor: Float = 1) {
    self.format = format
    self.factor = factor
  }

  private static let scaleFloats = CodeTable.minifloat(.e4m3)

  /// A scale as stored.
  ///
  /// Positive, normal where its type has a choice, and small enough that the largest value of a
  /// format stays finite. Formats that need all scales at once leave it in f32.
  func stored(_ scale: Float, largest: Float) -> Float {
    switch format {
    case .f32, .f16, .bf16, .dynamic8, .ratio:
      let room = Int32(max(1, Int(largest.exponent) + 2))
      return pith_stored_scale(scale, format.dtype.kernelScaleType, room)
    case .e8m0:
      let limit = (Float.greatestFiniteMagnitude / max(largest, 1)).exponent
      let finite = min(scale, .greatestFiniteMagnitude)
      let up = finite.significand > 1 ? 1 : 0
      let exponent = min(max(Int(finite.exponent) + up, -126), Int(limit))
      return Float(sign: .plus, exponent: exponent, significand: 1)
    case .e4m3: return Self.scaleFloats.value(of: code(scale)) * factor
    }
  }

  /// The byte of `e4m3` nearest to a scale, never 0.
  private func code(_ scale: Float) -> UInt8 {
    let magnitude = min(max(scale / factor, 0x1p-9), 448)
    // Rounded by arithmetic: halving a table of 253 values would cost more than the search.
    let exponent = max(Int(magnitude.exponent), -6)
    let unit = Float(sign: .plus, exponent: exponent - 3, significand: 1)
    let steps = Int((magnitude / unit).rounded(.toNearestOrEven))
    return UInt8(min(max((exponent + 6) * 8 + steps, 1), 0x7E))
  }

  /// Writes scales that are stored ones already.
  func write(_ scales: [Float], to target: UnsafeMutableRawPointer) {
    switch format {
    case .f16: pith_f32_to_f16(scales, target, scales.count)
    case .bf16: pith_f32_to_bf16(scales, target, scales.count)
    case .e8m0:
      for (index, scale) in scales.enumerated() {
        target.storeBytes(
          of: UInt8(Int(scale.exponent) + 127), toByteOffset: index, as: UInt8.self)
      }
    case .e4m3:
      for (index, scale) in scales.enumerated() {
        target.storeBytes(of: code(scale), toByteOffset: index, as: UInt8.self)
      }
    case .f32, .dynamic8, .ratio:
      scales.withUnsafeBytes { bytes in
        if let from = bytes.baseAddress { target.copyMemory(from: from, byteCount: bytes.count) }
      }
    }
  }

  /// The factor of `e4m3` for a tensor: its largest scale becomes the largest byte.
  static func factor(largestScale: Float) -> Float {
    guard largestScale > 0 else { return 1 }
    let factor = min(max(largestScale / 448, 0x1p-100), 0x1p100)
    // The inverse of an f32: compressed-tensors stores what is divided by.
    return 1 / (1 / factor)
  }

  /// One row's scales (0 for a group of zeros) as its largest over powers of two, each rounded down to the next: ŝ ≤ s, and
  /// s < 2ŝ.
  static func ratios(_ scales: [Float]) -> (bytes: [UInt8], factor: Float, values: [Float]) {
    let top = scales.max() ?? 0
    let largest = top > 0 ? top : 1
    var bytes: [UInt8] = []
    var values: [Float] = []
    for scale in scales {
      // A group of zeros takes any scale; the largest costs nothing.
      let ratio = scale > 0 ? min(largest / scale, 0x1p100) : 1
      let up = ratio.significand > 1 ? 1 : 0
      let code = min(max(Int(ratio.exponent) + up, 0), 100)
      // Kept normal where the row's own largest is small.
      let floor = Int(largest.exponent) + 126
      let kept = min(code, max(floor, 0))
      bytes.append(UInt8(kept))
      values.append(largest * Float(sign: .plus, exponent: -kept, significand: 1))
    }
    return (bytes, largest, values)
  }

  /// All scales of a tensor (0 for a group of zeros) by bitsandbytes' double quantization: their mean, for every 256 the
  /// largest distance from it, and the byte of the nearest share of that distance.
  static func dynamic(
    _ scales: [Float]
  ) -> (bytes: [UInt8], factors: [Float], offset: Float, values: [Float]) {
    let map = ScaleFormat.dynamicMap
    let used = scales.filter { $0 > 0 }
    let mean = used.reduce(0.0) { $0 + Double($1) } / Double(max(used.count, 1))
    let offset = used.isEmpty ? 1 : Float(mean)
    // A group of zeros takes any scale; the mean costs nothing.
    let scales = scales.map { $0 > 0 ? $0 : offset }
    var bytes: [UInt8] = []
    var factors: [Float] = []
    var values: [Float] = []
    for first in stride(from: 0, to: scales.count, by: ScaleFormat.block) {
      let block = scales[first..<min(first + ScaleFormat.block, scales.count)]
      let factor = max(block.reduce(0) { max($0, abs($1 - offset)) }, .leastNormalMagnitude)
      factors.append(factor)
      for scale in block {
        let share = (scale - offset) / factor
        var code = map.partitioningIndex { $0 >= share }
        if code == map.count || (code > 0 && share - map[code - 1] <= map[code] - share) {
          code -= 1
        }
        // Rounding must not turn a small scale to zero or below.
        while code < map.count - 1, map[code] * factor + offset < scale / 2 { code += 1 }
        bytes.append(UInt8(code))
        values.append(map[code] * factor + offset)
      }
    }
    return (bytes, factors, offset, values)
  }
}

extension [Float] {
  /// The first index of an ascending list from which on a test holds.
  fileprivate func partitioningIndex(_ holds: (Float) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
