import Checkpoints
import Tensors
import Weights

/// Another tool's model, seen as the tensors of an artefact.
public protocol ImportableModel: Sendable {
  /// Where plain tensors are read from.
  var source: any TensorSource { get }
  /// What the other tool calls its format.
  var format: String { get }
  /// The artefact's tensors, in the source's order.
  var names: [String] { get }
  /// The text of config.json, without what told of the format; nil where there is none.
  var configurationText: String? { get }
  /// Texts that go along, by file name.
  var companions: [String: String] { get }
  /// What of the model is not taken over.
  var warnings: [String] { get }

  /// Stored scales that keys and values are rounded under; nil where there are none.
  ///
  /// - Throws: `InterchangeError.malformed`.
  func keyValueScales() throws -> KeyValueScales?

  /// The memory that one of `names` takes at its peak, at most, until it is written.
  func workingBytes(of name: String) -> Int

  /// One of `names`.
  ///
  /// - Throws: `InterchangeError.malformed` when a part is missing or has the wrong size.
  func content(of name: String) throws -> ImportedContent
}

extension ImportableModel {
  public func keyValueScales() throws -> KeyValueScales? { nil }
}

/// One tensor of a model that is brought in.
public enum ImportedContent: Sendable {
  /// A tensor of the source, as it is.
  case tensor(TensorDescription)
  case weight(CompressedWeight, sourceType: DType)
}
