import Kernels
import Tensors

@testable import Weights

/// Formats and ways to store scales, for tests over all of them.
enum FormatSample {
  /// Every small float of 3 to 8 bits with at least one exponent bit.
  static let minifloats: [Minifloat] = (1...6).flatMap { exponent in
    (0...6).compactMap { try? Minifloat(exponentBits: exponent, mantissaBits: $0) }
  }

  static let formats: [NumberFormat] =
    minifloats.map { .minifloat($0) } + [
      .normalFloat4, .bitsandbytesFloat4, .ternary, .fixedPoint8,
    ] + (2...8).map { .power(bits: $0, exponent: 0.75) }

  /// Formats beside each way to store scales and each packing.
  static func grids() throws -> [TableGrid] {
    var result: [TableGrid] = []
    for format in formats {
      result.append(try TableGrid(format: format, granularity: .group(16)))
    }
    for scales in ScaleFormat.allCases {
      for format in [NumberFormat.normalFloat4, .minifloat(.e2m1), .fixedPoint8] {
        for granularity in [Granularity.channel, .group(16)] {
          result.append(
            try TableGrid(format: format, granularity: granularity, scaleFormat: scales))
        }
      }
    }
    for scales in [ScaleFormat.f32, .f16, .e8m0, .e4m3] {
      result.append(
        try TableGrid(format: .minifloat(.e3m2), granularity: .tensor, scaleFormat: scales))
    }
    for format in [NumberFormat.minifloat(.e3m2), .minifloat(.e2m3)] {
      result.append(try TableGrid(format: format, granularity: .group(16), packing: .split))
    }
    result.append(try TableGrid(format: .ternary, granularity: .group(16), packing: .trits))
    return result
  }

  /// Runs a body once for every instruction set that this machine has.
  static func forEachTarget(_ body: (String) throws -> Void) rethrows {
    defer { _ = pith_kernel_target_for_this_thread(-1) }
    for index in 0..<pith_kernel_target_count()
    where pith_kernel_target_for_this_thread(index) == 0 {
      try body(String(cString: pith_kernel_target()))
    }
  }
}
