import Kernels
import Tensors
import Testing

@Suite("Kernels: conversion and reduction")
struct ConversionTests {
  @Test("a machine's best target is one of the compiled ones")
  func targetName() {
    let names = (0..<pith_kernel_target_count()).map {
      String(cString: pith_kernel_target_name($0))
    }
    #expect(names.contains(String(cString: pith_kernel_target())))
    #expect(pith_kernel_target_for_this_thread(Int32(names.count)) == -1)
  }

  @Test("all 65,536 patterns widen as the plain version and as Swift's, and come back")
  func halves() {
    let patterns = (0...UInt16.max).map { $0 }
    var reference = [Float](repeating: 0, count: patterns.count)
    var back = [UInt16](repeating: 0, count: patterns.count)
    pith_f16_to_f32_reference(patterns, &reference, patterns.count)
    for (pattern, value) in zip(patterns, reference) {
      #expect(FloatConversion.float16(pattern).bitPattern == value.bitPattern)
    }
    forEachTarget { target in
      var wide = [Float](repeating: 0, count: patterns.count)
      pith_f16_to_f32(patterns, &wide, patterns.count)
      #expect(wide.map(\.bitPattern) == reference.map(\.bitPattern), "f16 on \(target)")
      pith_f32_to_f16(wide, &back, patterns.count)
      for (pattern, found) in zip(patterns, back) {
        // A signalling NaN comes back quiet.
        let isNaN = pattern & 0x7FFF > 0x7C00
        #expect(found == (isNaN ? pattern | 0x200 : pattern))
      }
      pith_bf16_to_f32(patterns, &wide, patterns.count)
      #expect(wide.map(\.bitPattern) == patterns.map { UInt32($0) << 16 }, "bf16 on \(target)")
    }
  }

  @Test("narrowing equals the plain version on ties, limits, NaN and random patterns")
  func narrowing() {
    var values = Sample.awkward + [.nan, .infinity, -.infinity, Float(nan: 1, signaling: true)]
    var word: UInt32 = 12345
    for _ in 0..<20_000 {
      word = word &* 1_664_525 &+ 1_013_904_223
      values.append(Float(bitPattern: word))
    }
    // Every halfway case between neighbouring f16 of one binade, and its neighbours.
    for step in 0..<1024 {
      let tie = Float(1) + (Float(step) + 0.5) / 1024
      values += [tie, tie.nextUp, tie.nextDown, -tie, tie * 0x1p-15, tie * 0x1p-20]
    }
    var expected = [UInt16](repeating: 0, count: values.count)
    var expectedBF = expected
    pith_f32_to_f16_reference(values, &expected, values.count)
    pith_f32_to_bf16_reference(values, &expectedBF, values.count)
    for (value, pattern) in zip(values, expected) {
      #expect(FloatConversion.float16Bits(value) == pattern)
    }
    forEachTarget { target in
      var found = expected
      pith_f32_to_f16(values, &found, values.count)
      #expect(found == expected, "f16 on \(target)")
      pith_f32_to_bf16(values, &found, values.count)
      #expect(found == expectedBF, "bf16 on \(target)")
    }
  }

  @Test("short and odd lengths neither miss an element nor write beyond the end")
  func lengths() {
    let values = Sample.normals(80)
    forEachTarget { target in
      for count in 0...70 {
        var found = [UInt16](repeating: 0xAAAA, count: 80)
        var expected = found
        pith_f32_to_f16(values, &found, count)
        pith_f32_to_f16_reference(values, &expected, count)
        #expect(found == expected, "\(count) on \(target)")
      }
    }
  }

  @Test("sums of bytes, first non-finite and ranges equal the plain versions")
  func reductions() {
    let values = Sample.normals(5000) + Sample.awkward
    forEachTarget { target in
      for count in [0, 1, 15, 16, 63, 64, 65, 200, 4999, 5022] {
        #expect(
          pith_sum_bytes(values, count * 4) == pith_sum_bytes_reference(values, count * 4),
          "\(count) on \(target)")
        #expect(pith_first_nonfinite(values, count) == -1)
        guard count > 0 else { continue }
        let range = pith_range(values, count)
        let plain = pith_range_reference(values, count)
        #expect(range.minimum == plain.minimum && range.maximum == plain.maximum)
        #expect(range.absolute_maximum == plain.absolute_maximum)
        for (place, bad) in [(0, Float.nan), (count - 1, Float.infinity), (count / 2, -.infinity)] {
          var broken = values
          broken[place] = bad
          #expect(pith_first_nonfinite(broken, count) == Int64(place), "\(count) on \(target)")
        }
      }
    }
  }

  @Test("error sums are the same bits on every instruction set")
  func errorSums() {
    let original = Sample.normals(3001)
    let approximation = zip(original, Sample.normals(3001, seed: 2, scale: 0.01)).map { $0 + $1 }
    for count in [0, 1, 16, 17, 3001] {
      var expected = PithErrorSums()
      pith_error_sums_reference(original, approximation, count, &expected)
      forEachTarget { target in
        var found = PithErrorSums()
        pith_error_sums(original, approximation, count, &found)
        #expect(found.squared_error == expected.squared_error, "\(count) on \(target)")
        #expect(found.squared_original == expected.squared_original)
        #expect(found.squared_approximation == expected.squared_approximation)
        #expect(found.product == expected.product)
        #expect(found.maximum_absolute_error == expected.maximum_absolute_error)
        #expect(found.count == expected.count)
      }
    }
  }

  @Test("a bitmap zeroes what it says")
  func bitmap() {
    let values = Sample.normals(200)
    let bits = (0..<25).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 43) }
    for count in [1, 7, 16, 31, 200] {
      var expected = values
      pith_apply_bitmap_reference(&expected, bits, count)
      forEachTarget { target in
        var found = values
        pith_apply_bitmap(&found, bits, count)
        #expect(found == expected, "\(count) on \(target)")
      }
    }
  }
}
