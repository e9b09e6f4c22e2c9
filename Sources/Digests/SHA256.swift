import CCrypto

/// SHA-256 by libcrypto, which uses the processor's SHA instructions.
public struct SHA256: ~Copyable {
  private let context: OpaquePointer

  public init() {
    // Out of memory for a few hundred bytes is not a state that a program can go on from.
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      preconditionFailure("libcrypto offers no SHA-256")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Adds bytes to what is hashed.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    _ = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
  }

  /// Adds a text's UTF-8 bytes to what is hashed.
  public mutating func update(_ text: String) {
    var text = text
    text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
  }

  /// The digest of everything added, as 64 lower-case hexadecimal digits.
  public consuming func hexadecimal() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    var length: UInt32 = 32
    _ = EVP_DigestFinal_ex(context, &digest, &length)
    return digest.map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  /// The digest of some bytes.
  public static func hexadecimal(of bytes: UnsafeRawBufferPointer) -> String {
    var hash = SHA256()
    hash.update(bytes)
    return hash.hexadecimal()
  }

  /// The digest of a text's UTF-8 bytes.
  public static func hexadecimal(of text: String) -> String {
    var hash = SHA256()
    hash.update(text)
    return hash.hexadecimal()
  }
}
