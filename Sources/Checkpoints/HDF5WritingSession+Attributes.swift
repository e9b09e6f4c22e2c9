import CHDF5
import Tensors

extension HDF5WritingSession {
  /// Writes attributes in the order of their names' bytes.
  func write(
    _ attributes: [String: AttributeValue], to object: hid_t, path: String
  ) throws(CheckpointError) {
    let sorted = attributes.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (name, value) in sorted {
      guard !name.isEmpty, !name.utf8.contains(0) else {
        throw refused("naming an attribute of '\(path)'", reason: "its name is '\(name)'")
      }
      try write(value, name, to: object, path: path)
    }
  }

  private func write(
    _ value: AttributeValue, _ name: String, to object: hid_t, path: String
  ) throws(CheckpointError) {
    switch value {
    case .int(let value): try write([value], nil, name, object, path)
    case .ints(let values): try write(values, values.count, name, object, path)
    case .double(let value): try write([value], nil, name, object, path)
    case .doubles(let values): try write(values, values.count, name, object, path)
    case .string(let text): try write([text], nil, name, object, path)
    case .strings(let texts): try write(texts, texts.count, name, object, path)
    }
  }

  private func write(
    _ values: [Int], _ count: Int?, _ name: String, _ object: hid_t, _ path: String
  ) throws(CheckpointError) {
    let type = pith_hdf5_file_type(CChar(UInt8(ascii: "i")), 8)
    defer { H5Tclose(type) }
    let doing = "writing the attribute '\(name)' of '\(path)'"
    try attribute(name, type, count, object, doing) { attribute throws(CheckpointError) in
      let status = values.withUnsafeBytes {
        $0.isEmpty ? 0 : H5Awrite(attribute, pith_hdf5_native_int64(), $0.baseAddress)
      }
      _ = try checked(status, doing)
    }
  }

  private func write(
    _ values: [Double], _ count: Int?, _ name: String, _ object: hid_t, _ path: String
  ) throws(CheckpointError) {
    let type = pith_hdf5_file_type(CChar(UInt8(ascii: "f")), 8)
    defer { H5Tclose(type) }
    let doing = "writing the attribute '\(name)' of '\(path)'"
    try attribute(name, type, count, object, doing) { attribute throws(CheckpointError) in
      let status = values.withUnsafeBytes {
        $0.isEmpty ? 0 : H5Awrite(attribute, pith_hdf5_native_double(), $0.baseAddress)
      }
      _ = try checked(status, doing)
    }
  }

  /// Texts have variable length: they lie in the file's heap and may exceed the 64 KiB of an
  /// object's header.
  private func write(
    _ texts: [String], _ count: Int?, _ name: String, _ object: hid_t, _ path: String
  ) throws(CheckpointError) {
    let type = pith_hdf5_text_type()
    defer { H5Tclose(type) }
    let doing = "writing the attribute '\(name)' of '\(path)'"
    guard !texts.contains(where: { $0.utf8.contains(0) }) else {
      throw refused(doing, reason: "a text with a zero byte")
    }
    // One buffer for all texts, each ended by a zero byte.
    var bytes: [CChar] = []
    var starts: [Int] = []
    for text in texts {
      starts.append(bytes.count)
      bytes.append(contentsOf: text.utf8.lazy.map { CChar(bitPattern: $0) })
      bytes.append(0)
    }
    try attribute(name, type, count, object, doing) { attribute throws(CheckpointError) in
      let status = bytes.withUnsafeBufferPointer { buffer -> herr_t in
        let pointers = starts.map { start in buffer.baseAddress.map { $0 + start } }
        return pointers.withUnsafeBytes {
          $0.isEmpty ? 0 : H5Awrite(attribute, type, $0.baseAddress)
        }
      }
      _ = try checked(status, doing)
    }
  }

  private func attribute(
    _ name: String, _ type: hid_t, _ count: Int?, _ object: hid_t, _ doing: String,
    _ body: (hid_t) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var extent = hsize_t(count ?? 0)
    let space = try checked(
      count == nil ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &extent, nil), doing)
    defer { H5Sclose(space) }
    let creation = pith_hdf5_create_attribute_list()
    defer { H5Pclose(creation) }
    H5Pset_char_encoding(creation, H5T_CSET_UTF8)
    let attribute = try checked(
      H5Acreate2(object, name, type, space, creation, pith_hdf5_default()), doing)
    defer { H5Aclose(attribute) }
    try body(attribute)
  }
}

extension HDF5Node {
  /// The objects in the tree, this one included.
  var objectCount: Int {
    guard case .group(_, let children) = self else { return 1 }
    return children.reduce(1) { $0 + $1.node.objectCount }
  }

  /// Whether an attribute is too large for the oldest format's object headers (64 KiB).
  var needsNewerFormat: Bool {
    let attributes: [String: AttributeValue]
    switch self {
    case .hardLink: return false
    case .dataset(_, _, let own): attributes = own
    case .group(let own, let children):
      if children.contains(where: { $0.node.needsNewerFormat }) { return true }
      attributes = own
    }
    let sizes = attributes.map { name, value -> Int in
      let bytes =
        switch value {
        case .ints(let values): values.count * 8
        case .doubles(let values): values.count * 8
        case .strings(let texts): texts.count * 16
        default: 16
        }
      return bytes + name.utf8.count + 64
    }
    // Old headers hold all attributes of an object side by side, in blocks of 64 KiB each.
    return sizes.contains { $0 > 60_000 }
  }
}
