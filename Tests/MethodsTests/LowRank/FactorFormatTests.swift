import Tensors
import TestSupport
import Testing
import Weights

@testable import LowRank

@Suite("Low rank: what factors are stored as")
struct FactorFormatTests {
  static let formats: [FactorFormat] = [
    .dense(.f32), .dense(.f16), .dense(.bf16), .integer(bits: 8), .integer(bits: 4), .normalFloat4,
  ]

  @Test("the forecast is what is stored, for ranks and widths that groups do not divide too")
  func bytes() throws {
    for (rows, columns, rank) in [(64, 128, 8), (60, 100, 32), (48, 36, 5), (40, 64, 64)] {
      let w = Sample.normals(rows, columns, seed: 3)
      let factors = try PrincipalComponents.exact(w, rank: min(rank, min(rows, columns)))
      for format in Self.formats {
        let path = try factors.path(as: format, target: w)
        let stored = path.payloads.reduce(0) { $0 + $1.bytes.count }
        #expect(
          stored == format.bytes(rows: rows, columns: columns, rank: factors.rank), "\(format)")
      }
    }
  }

  @Test(
    "four bits keep most of a path, eight nearly all; NF4's values suit factors better than even ones"
  )
  func errors() throws {
    let w = Sample.matrix()
    let factors = try PrincipalComponents.exact(w, rank: 12)
    let best = try factors.product()
    func error(_ format: FactorFormat) throws -> Double {
      Sample.error(best, try factors.path(as: format).decoded())
    }
    let (int8, int4, nf4) = (
      try error(.integer(bits: 8)), try error(.integer(bits: 4)), try error(.normalFloat4)
    )
    #expect(try error(.dense(.f16)) < 1e-3 && int8 < 0.03)
    #expect(int8 < 0.2 * nf4 && nf4 < int4 && int4 < 0.4)
    // Fitting A again to the B that was stored brings the sum nearer to what it stands for.
    for format in [FactorFormat.integer(bits: 4), .normalFloat4] {
      let plain = Sample.error(w, try factors.path(as: format).decoded())
      let fitted = Sample.error(w, try factors.path(as: format, target: w).decoded())
      #expect(fitted < plain, "\(format)")
    }
  }

  @Test("a path of NF4 codes goes through a file's parts unchanged")
  func storing() throws {
    let w = Sample.matrix()
    var weight = CompressedWeight.dense(w)
    weight.lowRank = [
      try PrincipalComponents.exact(w, rank: 8).path(as: .normalFloat4, target: w)
    ]
    try weight.validate()
    let back = try CompressedWeight(decoding: weight.encodedParts())
    #expect(back.lowRank.count == 1 && back.decoded() == weight.decoded())
  }
}
