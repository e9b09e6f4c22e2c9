import Kernels
import Tensors
import Testing

private let panel = Int(PITH_REFIT_PANEL)
private let chunk = Int(PITH_SWEEP_LANES)

/// (1) Packing and products give the twins' bits on every instruction set, and are off by no more than half
/// a step of each number of the factor, the largest codes included; (2) pairs are those products rounded to bf16;
/// (3) so are sums of their products; (4) the equations are those of f64, up to the rounding.
@Suite("The refit's products through bytes")
struct RefitByteTests {
  /// A factor's part of a panel, and what it is multiplied by.
  private struct Operands {
    let members: Int
    let factor: [Float]
    let codes: [[Int]]
    let zeros: [Int]
    var quads: [UInt32]
    var scales: [Float]
    var sums: [UInt32]

    init(_ members: Int, top: Int, isTwin: Bool) {
      self.members = members
      factor = Sample.normals(members * members, seed: 5)
      let positions = (0..<Int32(members)).reversed().map { $0 }
      // Marked, so that a word that was left out shows.
      quads = Array(repeating: 0xDEAD_BEEF, count: (members + 3) / 4 * panel)
      scales = Array(repeating: -1, count: panel)
      sums = Array(repeating: 0xDEAD_BEEF, count: panel)
      let pack = isTwin ? pith_refit_pack_bytes_reference : pith_refit_pack_bytes
      pack(factor, members, positions, members, 0, 1, [Int32(members)], &quads, &scales, &sums)
      let noise = Sample.normals(members * chunk, seed: 6)
      // Some lanes of nothing but the largest code, some of nothing but zero.
      codes = (0..<members).map { member in
        (0..<chunk).map { lane in
          if lane < 4 { return lane < 2 ? top : 0 }
          return max(0, min(top, Int(Float(top) * (0.5 + noise[member * chunk + lane] / 5))))
        }
      }
      zeros = (0..<chunk).map { $0 % 2 == 0 ? 0 : max(0, top - $0 / 8) }
    }

    /// Zero points and codes as the kernel takes them.
    var words: [UInt32] {
      var result = zeros.map { UInt32($0) | UInt32($0) << 23 }
      for quad in 0..<(members + 3) / 4 {
        for lane in 0..<chunk {
          // What lies beyond the members meets zeros.
          let four = (0..<4).map { 4 * quad + $0 < members ? codes[4 * quad + $0][lane] : 200 }
          result.append(four.reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
      }
      return result
    }

    func with<Result>(_ body: (PithRefitBytes) -> Result) -> Result {
      quads.withUnsafeBufferPointer { quads in
        scales.withUnsafeBufferPointer { scales in
          sums.withUnsafeBufferPointer { sums in
            words.withUnsafeBufferPointer { words in
              body(
                PithRefitBytes(
                  factor: quads.baseAddress, scales: scales.baseAddress, sums: sums.baseAddress,
                  codes: words.baseAddress, quads: (members + 3) / 4))
            }
          }
        }
      }
    }
  }

  @Test(
    "the twins' bits, exact but for the factor's rounding",
    arguments: [(1, 15), (3, 255), (37, 255), (128, 15), (701, 255), (2050, 255)])
  func products(_ members: Int, _ top: Int) {
    let plain = Operands(members, top: top, isTwin: true)
    let half = panel * 16
    // Marked beyond the first part.
    let empty = [Float](repeating: 7, count: 2 * half + 5)
    var expected = empty
    var pairs = [UInt32](repeating: 7, count: half + 5)
    plain.with { pith_refit_product_bytes_reference($0, &expected, half + 5) }
    plain.with { pith_refit_product_pairs_reference($0, &pairs, half / 2 + 5) }
    #expect(expected[half..<half + 5].allSatisfy { $0 == 7 })
    forEachTarget { target in
      let packed = Operands(members, top: top, isTwin: false)
      #expect(
        packed.quads == plain.quads && packed.scales == plain.scales && packed.sums == plain.sums,
        "\(target)")
      var found = empty
      var words = [UInt32](repeating: 7, count: half + 5)
      plain.with { pith_refit_product_bytes($0, &found, half + 5) }
      plain.with { pith_refit_product_pairs($0, &words, half / 2 + 5) }
      #expect(found == expected && words == pairs, "\(target)")
    }
    for column in 0..<panel where column < members {
      for lane in 0..<chunk {
        var (exact, steps) = (0.0, 0.0)
        for member in 0..<members {
          let step = Double(plain.codes[member][lane] - plain.zeros[lane])
          exact += Double(plain.factor[(members - 1 - member) * members + column]) * step
          steps += abs(step)
        }
        let value = expected[lane / 16 * (half + 5) + column * 16 + lane % 16]
        #expect(
          abs(Double(value) - exact)
            <= 0.5001 * Double(plain.scales[column]) * steps + 1e-6 * abs(exact))
        let word = pairs[lane / 16 * (half / 2 + 5) + column / 2 * 16 + lane % 16]
        let rounded = Float(bitPattern: column % 2 == 0 ? word << 16 : word & 0xFFFF_0000)
        #expect(abs(rounded - value) <= abs(value) / 256)
      }
    }
  }

  @Test("sums of products of pairs are the twin's, on the diagonal and beside it")
  func outer() {
    let (line, padded) = (Int(PITH_REFIT_PAIRS) * 16, 8)
    func half(_ value: Float) -> UInt32 { (value.bitPattern &+ 0x8000) >> 16 }
    let values = Sample.normals(9 * line * 2, seed: 4)
    let words = (0..<9 * line).map { half(values[2 * $0]) | half(values[2 * $0 + 1]) << 16 }
    let start = Sample.normals(padded * 4 * chunk, seed: 5)
    typealias Sums = (left: [Float], right: [Float])
    func sums(_ isDiagonal: Bool, _ isTwin: Bool) -> Sums {
      var result = Sums(start, start)
      let outer = isTwin ? pith_refit_outer_pairs_reference : pith_refit_outer_pairs
      words.withUnsafeBufferPointer { words in
        guard let from = words.baseAddress else { return }
        outer(
          from, isDiagonal ? from : from + 4 * line, isDiagonal ? from + 8 * line : nil, padded,
          &result.left, &result.right)
      }
      return result
    }
    for isDiagonal in [true, false] {
      let plain = sums(isDiagonal, true)
      #expect((plain.right != start) == isDiagonal)
      forEachTarget { target in
        let found = sums(isDiagonal, false)
        for (one, other) in [(found.left, plain.left), (found.right, plain.right)] {
          #expect(zip(one, other).allSatisfy { abs($0 - $1) <= 1e-4 }, "\(target)")
        }
      }
      for place in 0..<padded * 4 * chunk {
        let (i, j) = (place / chunk / padded, place / chunk % padded)
        let isTouched = j < 4 && place % chunk < 16 && (!isDiagonal || j >= i)
        #expect((plain.left[place] != start[place]) == isTouched)
      }
    }
  }

  @Test("the equations of f64", arguments: [(5, 13), (4, 16), (1, 70)], [15, 255])
  func equations(_ shape: (groups: Int, members: Int), _ top: Int) {
    let (groups, members) = shape
    let (width, stride) = (groups * members, 2 * chunk)
    var factor = Sample.normals(width * width, seed: 7, scale: 0.1)
    for row in 0..<width {
      for column in row..<width { factor[row * width + column] = column == row ? 1 : 0 }
    }
    // Inputs and positions: every position's input, groups across them.
    let order = (0..<width).map { $0 * 7 % width }
    let isOrder = Set(order).count == width
    let inputs = isOrder ? order : Array(0..<width)
    var places = [[Int]](repeating: [], count: groups)
    for position in inputs.indices.reversed() {
      places[inputs[position] / members].append(position)
    }
    let positions = places.flatMap { $0 }
    let panels = (width + panel - 1) / panel
    let counts = (0..<panels * groups).map { place in
      Int32(places[place % groups].count { $0 / panel >= place / groups })
    }
    let zeros = (0..<groups * stride).map { Float(top / 2 + $0 % 3) }
    let codes = Sample.normals(width * stride, seed: 8).map {
      UInt8(max(0, min(Float(top), Float(top) * (0.5 + $0 / 5))))
    }
    let differences = Sample.normals(width * stride, seed: 9)
    let residuals = Sample.normals(width * stride, seed: 10)
    let packs = [false, true].map {
      Packed(factor, width, positions.map { Int32($0) }, members, counts, isBytes: $0)
    }
    let padded = pith_refit_padded(groups)
    func terms(_ pack: Packed) -> (left: [Float], right: [Float]) {
      var scratch = [Float](repeating: 0, count: pith_refit_scratch(groups, members, 2))
      var left = [Float](repeating: .nan, count: 2 * padded * padded * chunk)
      var right = [Float](repeating: .nan, count: 2 * padded * chunk)
      positions.map { Int32($0) }.withUnsafeBufferPointer { positions in
        positions.map { Int32(inputs[Int($0)]) }.withUnsafeBufferPointer { columns in
          counts.withUnsafeBufferPointer { counts in
            codes.withUnsafeBufferPointer { codes in
              zeros.withUnsafeBufferPointer { zeros in
                differences.withUnsafeBufferPointer { differences in
                  residuals.withUnsafeBufferPointer { residuals in
                    pack.with { values, quads, scales, sums in
                      var job = PithRefit(
                        groups: groups, members: members, stride: stride, damping: 0.25,
                        columns: columns.baseAddress, positions: positions.baseAddress,
                        factor: values, counts: counts.baseAddress, quads: quads,
                        quad_scales: scales, quad_sums: sums, codes: codes.baseAddress,
                        zeros: zeros.baseAddress, differences: differences.baseAddress,
                        residuals: residuals.baseAddress)
                      pith_refit_terms(&job, 0, 2, &scratch, &left, &right)
                    }
                  }
                }
              }
            }
          }
        }
      }
      return (left, right)
    }
    forEachTarget { target in
      for (pack, bound) in zip(packs, [1e-5, 2e-2]) {
        let found = terms(pack)
        for row in [0, 17, 40, 63] {
          var products = [[Double]](repeating: Array(repeating: 0, count: width), count: groups + 1)
          for group in 0..<groups {
            for position in places[group] {
              let input = inputs[position]
              let step = Double(codes[input * stride + row]) - Double(zeros[group * stride + row])
              for column in 0...position {
                products[group][column] += step * Double(factor[position * width + column])
              }
            }
          }
          for position in 0..<width {
            products[groups][position] = Double(residuals[position * stride + row])
          }
          let size = products.map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }
          let place = row / chunk * padded
          for group in 0..<groups {
            for other in group...groups {
              var exact = zip(products[group], products[other]).reduce(0) { $0 + $1.0 * $1.1 }
              for position in places[group] where other == group || other == groups {
                let input = inputs[position]
                let step = Double(codes[input * stride + row]) - Double(zeros[group * stride + row])
                exact -=
                  0.25 * step
                  * (other == group ? step : Double(differences[position * stride + row]))
              }
              let at = (other == groups ? place + group : (place + group) * padded + other)
              let lane = at * chunk + row % chunk
              let value = Double(other == groups ? found.right[lane] : found.left[lane])
              #expect(
                abs(value - exact) <= bound * size[group] * size[other],
                "\(target) \(group) \(other)")
            }
          }
        }
      }
    }
  }

  /// All panels of a factor, in f32 or bytes.
  private struct Packed {
    var values: [Float] = []
    var quads: [UInt32] = []
    var scales: [Float] = []
    var sums: [UInt32] = []

    init(
      _ factor: [Float], _ width: Int, _ positions: [Int32], _ members: Int, _ counts: [Int32],
      isBytes: Bool
    ) {
      let panels = (width + panel - 1) / panel
      if isBytes {
        quads = Array(repeating: 0, count: counts.reduce(0) { $0 + (Int($1) + 3) / 4 } * panel)
        scales = Array(repeating: 0, count: counts.count * panel)
        sums = Array(repeating: 0, count: counts.count * panel)
        pith_refit_pack_bytes(
          factor, width, positions, members, 0, panels, counts, &quads, &scales, &sums)
      } else {
        values = Array(repeating: 0, count: counts.reduce(0) { $0 + Int($1) } * panel)
        pith_refit_pack(factor, width, positions, members, 0, panels, counts, &values)
      }
    }

    func with(
      _ body: (
        UnsafePointer<Float>?, UnsafePointer<UInt32>?, UnsafePointer<Float>?,
        UnsafePointer<UInt32>?
      ) -> Void
    ) {
      values.withUnsafeBufferPointer { values in
        quads.withUnsafeBufferPointer { quads in
          scales.withUnsafeBufferPointer { scales in
            sums.withUnsafeBufferPointer { sums in
              body(
                values.baseAddress, quads.isEmpty ? nil : quads.baseAddress, scales.baseAddress,
                sums.baseAddress)
            }
          }
        }
      }
    }
  }
}
