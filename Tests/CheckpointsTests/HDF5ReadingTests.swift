import Checkpoints
import Tensors
import TestSupport
import Testing

/// The ramp of fixtures/make_hdf5.py: element i is (i mod 97) − 48.
func ramp(_ index: Int) -> Int { index % 97 - 48 }

/// A tensor's values, each widened to a double.
func doubles(_ source: HDF5File, _ name: String, rows: Range<Int>? = nil) throws -> [Double] {
  let tensor = try #require(source.tensors.first { $0.name == name }, "\(name)")
  let rows = rows ?? 0..<tensor.shape.rows
  let bytes = try Bytes(count: rows.count * tensor.rowByteCount) {
    try source.read(tensor, rows: rows, into: $0)
  }
  switch tensor.dtype {
  case .f64: return bytes.array(of: Double.self)
  case .f32: return bytes.array(of: Float.self).map(Double.init)
  case .f16: return bytes.array(of: UInt16.self).map { Double(FloatConversion.float16($0)) }
  case .bf16: return bytes.array(of: UInt16.self).map { Double(FloatConversion.bfloat16($0)) }
  case .i64: return bytes.array(of: Int64.self).map(Double.init)
  case .i32: return bytes.array(of: Int32.self).map(Double.init)
  case .i16: return bytes.array(of: Int16.self).map(Double.init)
  case .i8: return bytes.array(of: Int8.self).map(Double.init)
  case .u64: return bytes.array(of: UInt64.self).map { Double($0) }
  case .u32: return bytes.array(of: UInt32.self).map(Double.init)
  case .u16: return bytes.array(of: UInt16.self).map(Double.init)
  default: return bytes.array(of: UInt8.self).map(Double.init)
  }
}

@Suite("HDF5: reading")
struct HDF5ReadingTests {
  let types: HDF5File
  let layouts: HDF5File

  init() throws {
    types = try HDF5File(path: SharedFiles.fixture("hdf5/types.h5"))
    layouts = try HDF5File(path: SharedFiles.fixture("hdf5/layouts.h5"))
  }

  @Test(
    "Every number type, in both byte orders",
    arguments: [
      ("f8", DType.f64), ("f4", .f32), ("f2", .f16), ("i8", .i64), ("i4", .i32), ("i2", .i16),
      ("i1", .i8), ("u8", .u64), ("u4", .u32), ("u2", .u16), ("u1", .u8),
    ])
  func numbers(code: String, dtype: DType) throws {
    let bits = UInt64(dtype.bytes * 8)
    let expected = (0..<30).map { index -> Double in
      let value = ramp(index)
      guard code.hasPrefix("u"), value < 0 else { return Double(value) }
      return bits == 64
        ? Double(UInt64(bitPattern: Int64(value))) : Double(value + 1 << Int(bits))
    }
    for order in dtype.bytes == 1 ? ["little"] : ["little", "big"] {
      let name = "\(order)/\(code)"
      let tensor = try #require(types.tensors.first { $0.name == name })
      #expect(tensor.dtype == dtype)
      #expect(tensor.shape == [6, 5])
      #expect(try doubles(types, name) == expected)
      #expect(try doubles(types, name, rows: 2..<4) == Array(expected[10..<20]))
      if order == "big" {
        #expect(tensor.storage == .encoded("big-endian"))
        #expect(try types.mapped(tensor) == nil)
      } else {
        let mapped = try #require(try types.mapped(tensor))
        #expect(mapped.count == 30 * dtype.bytes)
      }
    }
  }

  @Test("Types that HDF5 has no type for")
  func namedTypes() throws {
    let dtypes = Dictionary(uniqueKeysWithValues: types.tensors.map { ($0.name, $0.dtype) })
    #expect(dtypes["bool"] == .bool)
    #expect(dtypes["bf16"] == .bf16)
    #expect(dtypes["f8e4m3"] == .f8e4m3)
    #expect(try doubles(types, "bf16") == (0..<30).map { Double(ramp($0)) })
    #expect(try doubles(types, "bool") == (0..<30).map { ramp($0) > 0 ? 1 : 0 })
    let tensor = try #require(types.tensors.first { $0.name == "bf16" })
    #expect(tensor.attributes["dtype"] == nil)
  }

  @Test("Scalars, empty datasets, and what is no tensor")
  func oddOnes() throws {
    #expect(try doubles(types, "scalar") == [2.5])
    #expect(types.tensors.first { $0.name == "scalar" }?.shape == [])
    #expect(types.tensors.first { $0.name == "zero" }?.shape == [0, 7])
    #expect(types.tensors.first { $0.name == "null" }?.storage == .empty)
    #expect(try doubles(types, "null").isEmpty)
    #expect(try doubles(types, "unfilled") == [Double](repeating: 7, count: 12))
    let skipped = Dictionary(uniqueKeysWithValues: types.skipped.map { ($0.name, $0.reason) })
    #expect(skipped["texts"]?.contains("texts") == true)
    #expect(skipped["records"]?.contains("records") == true)
    #expect(types.tensors.count == 11 + 9 + 7)
  }

  @Test(
    "Every layout gives the same rows",
    arguments: [
      "contiguous", "chunked", "gzip", "shuffled", "fletcher", "big_gzip", "half_gzip", "growing",
      "compact", "hard", "soft",
    ])
  func layout(name: String) throws {
    let all = (0..<600).map { Double(ramp($0)) }
    #expect(try doubles(layouts, name) == all)
    for rows in [0..<1, 7..<9, 15..<33, 49..<50, 5..<5] {
      let part = Array(all[rows.lowerBound * 12..<rows.upperBound * 12])
      #expect(try doubles(layouts, name, rows: rows) == part)
    }
  }

  @Test("Second names share storage; links that lead back or nowhere are reported")
  func links() throws {
    let shared = Dictionary(
      uniqueKeysWithValues: layouts.tensors.map { ($0.name, $0.sharesStorageWith) })
    #expect(shared["hard"] == "contiguous")
    #expect(shared["soft"] == "gzip")
    // The name order: "again" comes before "group".
    #expect(shared["group/inner"] == "again/inner")
    let skipped = Dictionary(uniqueKeysWithValues: layouts.skipped.map { ($0.name, $0.reason) })
    #expect(skipped["dangling"]?.contains("/nowhere") == true)
    #expect(skipped["group/up"]?.contains("encloses") == true)
  }

  @Test("The format of 1.10, user blocks and creation order")
  func formats() throws {
    let all = (0..<600).map { Double(ramp($0)) }
    let newer = try HDF5File(path: SharedFiles.fixture("hdf5/v110.h5"))
    for name in ["gzip", "growing", "contiguous"] { #expect(try doubles(newer, name) == all) }
    let block = try HDF5File(path: SharedFiles.fixture("hdf5/user_block.h5"))
    for name in ["gzip", "contiguous"] { #expect(try doubles(block, name) == all) }
    let ordered = try HDF5File(path: SharedFiles.fixture("hdf5/ordered.h5"))
    #expect(ordered.tensors.map(\.name) == ["zebra", "ant", "mole"])
  }

  @Test("Attributes of every kind")
  func attributes() throws {
    let file = try HDF5File(path: SharedFiles.fixture("hdf5/attributes.h5"))
    let found = file.root.attributes
    #expect(found["text"] == .string("grüße"))
    #expect(found["fixed"] == .string("fixed"))
    #expect(found["texts"] == .strings(["a", "bc", ""]))
    #expect(found["fixed_texts"] == .strings(["a", "bcd"]))
    #expect(found["int"] == .int(42))
    #expect(found["negative"] == .int(-3))
    #expect(found["large"] == .double(0x1p63))
    #expect(found["ints"] == .ints([0, 1, 2]))
    #expect(found["double"] == .double(0.5))
    #expect(found["half"] == .double(1.5))
    #expect(found["doubles"] == .doubles([0.25, -1]))
    #expect(found["flag"] == .int(1))
    #expect(found["empty"] == nil)
    #expect(found["none"] == .ints([]))
    #expect(found["long"]?.string?.utf8.count == 70_000)
    #expect(file.root.group("group")?.attributes["of"] == .string("group"))
    #expect(file.tensors.first?.attributes["of"] == .string("data"))
  }
}
