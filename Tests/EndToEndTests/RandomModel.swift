import Foundation

/// A safetensors file of pseudo-random matrices, made in a moment.
enum RandomModel {
  static func write(to path: String, matrices: Int, rows: Int, columns: Int) throws {
    let bytes = rows * columns * 4
    let entries = (0..<matrices).map { index in
      "\"layers.\(index).weight\":{\"dtype\":\"F32\",\"shape\":[\(rows),\(columns)],"
        + "\"data_offsets\":[\(index * bytes),\((index + 1) * bytes)]}"
    }
    var header = "{" + entries.joined(separator: ",") + "}"
    while header.utf8.count % 8 != 0 { header += " " }
    var data = Data()
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(contentsOf: Array(header.utf8))
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    let values = (0..<matrices * rows * columns).map { _ -> Float in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-31
    }
    values.withUnsafeBytes { data.append(contentsOf: $0) }
    try data.write(to: URL(fileURLWithPath: path))
  }
}
