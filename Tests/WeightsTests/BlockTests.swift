import Foundation
import Tensors
import TestSupport
import Testing

@testable import Weights

/// ggml's block formats beside ggml (fixtures/make_ggml_blocks.py).
@Suite("Weights: blocks of ggml")
struct BlockTests {
  struct Golden: Decodable {
    struct Entry: Decodable {
      var blocks: String
      var decoded: String
    }
    var values: [Int]
    var types: [String: Entry]
  }

  static func golden() throws -> Golden {
    let path = SharedFiles.repository + "/fixtures/ggml_blocks.json"
    return try JSONDecoder().decode(
      Golden.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }

  static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).map { $0 < 58 ? $0 - 48 : $0 - 87 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  static func base(_ format: BlockFormat, _ bytes: [UInt8], rows: Int, columns: Int) -> BlockBase {
    BlockBase(
      format: format, rows: rows, columns: columns,
      blocks: Tensor(dtype: .u8, shape: [rows, bytes.count / rows], array: bytes))
  }

  @Test("ggml's bytes decode to ggml's numbers, bit for bit, and go back to the same bytes")
  func decoding() throws {
    let golden = try Self.golden()
    for format in BlockFormat.allCases {
      let entry = try #require(golden.types[format.rawValue])
      let bytes = Self.bytes(entry.blocks)
      let base = Self.base(format, bytes, rows: 4, columns: 256)
      let decoded = Base.blocks(base).decoded().values.flatMap { value in
        withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
      }
      // −0 and 0 are one number.
      let expected = Self.bytes(entry.decoded)
      var differences = 0
      for index in stride(from: 0, to: decoded.count, by: 4)
      where decoded[index..<index + 4] != expected[index..<index + 4] {
        let isZero = [decoded, expected].allSatisfy {
          $0[index..<index + 3] == [0, 0, 0] && $0[index + 3] & 0x7F == 0
        }
        if !isZero { differences += 1 }
      }
      #expect(differences == 0, "\(format)")
      for index in 0..<base.blocksPerRow {
        let block = base.block(row: 2, index: index)
        let start = 2 * base.blocksPerRow * format.bytes + index * format.bytes
        #expect(
          block.bytes(format: format) == Array(bytes[start..<start + format.bytes]), "\(format)")
      }
    }
  }

  @Test("codes are as good as ggml's; of the older formats and most blocks the same bytes")
  func encoding() throws {
    let golden = try Self.golden()
    let weight = Matrix(
      rows: 4, columns: 256, values: golden.values.map { Float($0) / 1024 })
    for format in BlockFormat.allCases {
      let entry = try #require(golden.types[format.rawValue])
      let bytes = Self.bytes(entry.blocks)
      let base = try BlockBase.roundToNearest(weight, format: format)
      try Base.blocks(base).validate(part: "base", rows: 4, columns: 256)
      let found = base.blocks.bytes.array(of: UInt8.self)
      if format.length == 32 { #expect(found == bytes, "\(format)") }
      let same = (0..<4).filter { row in
        let size = bytes.count / 4
        return found[row * size..<(row + 1) * size] == bytes[row * size..<(row + 1) * size]
      }
      #expect(same.count >= 2, "\(format)")
      let theirs = Base.blocks(Self.base(format, bytes, rows: 4, columns: 256)).decoded()
      let (ours, ggml) = (
        Sample.sums(weight, Base.blocks(base).decoded()), Sample.sums(weight, theirs)
      )
      #expect(ours.squaredError <= ggml.squaredError * 1.0001, "\(format)")
      #expect(
        format.storedBytes(rows: 4, columns: 256) == found.count, "\(format)")
    }
  }

  @Test("more bits, smaller errors; zeros stay zeros; extremes stay finite")
  func errors() throws {
    let weight = Sample.matrix(16, 512, seed: 6, scale: 0.02)
    let errors = try [BlockFormat.q2K, .q3K, .q4K, .q5K, .q6K, .q80].map {
      Sample.error(weight, Base.blocks(try BlockBase.roundToNearest(weight, format: $0)).decoded())
    }
    #expect(errors == errors.sorted(by: >) && errors[2] < 0.09 && errors[5] < 0.006)
    var values = [Float](repeating: 0, count: 1024)
    for index in 256..<512 { values[index] = index % 3 == 0 ? 3e38 : -1e-37 }
    for index in 512..<768 { values[index] = 1e-30 }
    for index in 768..<1024 { values[index] = -7 }
    let hard = Matrix(rows: 4, columns: 256, values: values)
    for format in BlockFormat.allCases {
      let base = try BlockBase.roundToNearest(hard, format: format)
      try Base.blocks(base).validate(part: "base", rows: 4, columns: 256)
      let decoded = Base.blocks(base).decoded()
      let isFinite = decoded.values.allSatisfy { $0.isFinite }
      let isZero = decoded.values[0..<256].allSatisfy { $0 == 0 }
      #expect(isFinite && isZero, "\(format)")
      let constant = decoded.values[768..<1024].allSatisfy { abs($0 + 7) < 0.2 }
      #expect(constant, "\(format)")
    }
  }

  @Test("files: round trip, unknown names, wrong sizes, infinite scales")
  func files() throws {
    let matrix = Sample.matrix(3, 512, seed: 6)
    for format in BlockFormat.allCases {
      let weight = CompressedWeight(
        view: WeightView(rows: 3, columns: 512),
        base: .blocks(try BlockBase.roundToNearest(matrix, format: format)))
      let encoded = weight.encodedParts()
      #expect(encoded.attributes["weight_version"] == .int(2))
      let back = try CompressedWeight(decoding: encoded)
      #expect(back.decoded() == weight.decoded())
      func error(_ change: (inout EncodedWeight) -> Void) -> WeightsError? {
        var changed = encoded
        change(&changed)
        do {
          _ = try CompressedWeight(decoding: changed)
          return nil
        } catch { return error }
      }
      let part = encoded.parts[0]
      for (name, value) in [
        ("format", AttributeValue.string("q9_k")), ("columns", .int(512 * 3)), ("columns", .int(7)),
      ] {
        let found = error {
          var attributes = part.attributes
          attributes[name] = value
          $0.parts[0] = .init(path: part.path, tensor: part.tensor, attributes: attributes)
        }
        #expect(found != nil)
      }
      // An infinite f16 where the scale lies.
      let place: Int =
        switch format {
        case .q2K: 80
        case .q3K: 108
        case .q6K: 208
        default: 0
        }
      let found = error {
        var bytes = part.tensor.bytes.array(of: UInt8.self)
        (bytes[place], bytes[place + 1]) = (0, 0x7C)
        $0.parts[0] = .init(
          path: part.path,
          tensor: Tensor(dtype: .u8, shape: part.tensor.shape, array: bytes),
          attributes: part.attributes)
      }
      #expect(found == .valueNotFinite(part: "base/blocks", index: 0), "\(format)")
    }
  }

  @Test("widths that blocks do not divide get a smaller block, or none")
  func fallback() {
    #expect(BlockFormat.q4K.resolve(columns: 512)?.format == .q4K)
    #expect(BlockFormat.q4K.resolve(columns: 512)?.note == nil)
    #expect(BlockFormat.q4K.resolve(columns: 576)?.format == .q50)
    #expect(BlockFormat.q6K.resolve(columns: 64)?.format == .q80)
    #expect(BlockFormat.q2K.resolve(columns: 64)?.note?.contains("256") == true)
    #expect(BlockFormat.q40.resolve(columns: 33) == nil)
  }

  @Test("grids of a column: the nearest value, and the base that the codes make")
  func columnGrids() throws {
    let weight = Sample.matrix(5, 256, seed: 12, scale: 0.1)
    var samples: [(ColumnGrids, Matrix<Float>, Matrix<Float>)] = []
    for format in BlockFormat.allCases {
      let base = try BlockBase.roundToNearest(weight, format: format)
      samples.append((ColumnGrids(base), Base.blocks(base).decoded(), weight))
    }
    for grid in try FormatSample.grids() {
      let base = try TableBase.roundToNearest(weight, scheme: TableScheme(grid, clip: .none))
      samples.append((ColumnGrids(base), base.decoded(), weight))
    }
    for (grids, decoded, weight) in samples {
      var codes = [UInt8](repeating: 0, count: 5 * 256)
      var again = codes
      for row in 0..<5 {
        for column in 0..<256 {
          codes[row * 256 + column] = grids.code(of: weight[row, column], row: row, column: column)
          again[row * 256 + column] = grids.code(
            of: decoded[row, column], row: row, column: column)
        }
      }
      // What the base held goes through unchanged; the nearest is at least as near.
      #expect(grids.base(codes: again).decoded() == decoded)
      let best = grids.base(codes: codes).decoded()
      for index in best.values.indices {
        let (row, column) = (index / 256, index % 256)
        #expect(
          best.values[index] == grids.value(of: codes[index], row: row, column: column))
        #expect(
          abs(best.values[index] - weight.values[index])
            <= abs(decoded.values[index] - weight.values[index]) + 1e-6)
      }
    }
  }
}
