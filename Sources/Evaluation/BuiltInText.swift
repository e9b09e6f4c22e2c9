/// The text that calibration takes when nobody brings one: 100 KB of English in ASCII from the
/// World English Bible, the Jargon File and The Devil's Dictionary, all in the public domain.
///
/// It does not overlap with fixtures/text, which models are evaluated on.
public enum BuiltInText {
  /// What reports call it.
  public static let name = "built-in public-domain text"

  /// The text, a paragraph a line.
  public static var contents: String { text }
}
