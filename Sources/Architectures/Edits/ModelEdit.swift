import Checkpoints
import LinearAlgebra
import Tensors

/// What is done to a model around its weights: scales folded into neighbours, rotations, norms.
///
/// The edited model computes what the original computes, up to rounding; its weights are easier to
/// compress. A value: `TransformedSource` hands out the edited tensors.
public struct ModelEdit: Sendable, Hashable {
  /// What happens to each tensor, in order.
  public private(set) var operations: [String: [TensorOperation]] = [:]
  /// Tensors that the edited model has besides, each a copy of another before its own operations:
  /// an output head that is no longer the embedding table.
  public private(set) var copies: [String: String] = [:]
  /// Tensors that keep their own element type when they are edited, for their size; all others
  /// become f32, so that nothing is rounded twice.
  public private(set) var narrow: Set<String> = []
  /// The changed text of config.json, where the edit changes it.
  public var configuration: String?
  /// By weight tensor: a scale of its inputs, x / s, that no neighbour can take.
  ///
  /// It becomes an input transform of the compressed weight.
  public private(set) var inputScales: [String: [Float]] = [:]
  /// By site: what became of its inputs, in order; what statistics gathered before need.
  public private(set) var siteChanges: [String: [SiteChange]] = [:]
  /// What was done, in order.
  public private(set) var notes: [EditNote] = []

  public init() {}

  public var isEmpty: Bool { operations.isEmpty && inputScales.isEmpty && copies.isEmpty }

  mutating func append(_ operation: TensorOperation, to tensor: String) {
    operations[tensor, default: []].append(operation)
  }

  mutating func copy(_ tensor: String, to name: String) { copies[name] = tensor }

  mutating func keepType(of tensor: String) { narrow.insert(tensor) }

  mutating func setInputScale(_ scale: [Float], of tensor: String) { inputScales[tensor] = scale }

  mutating func change(_ site: String, _ change: SiteChange) {
    siteChanges[site, default: []].append(change)
  }

  /// The element type of a tensor after the edit.
  func type(of tensor: TensorDescription) -> DType {
    narrow.contains(tensor.name) && [.f16, .bf16].contains(tensor.dtype) ? tensor.dtype : .f32
  }

  mutating func note(_ note: EditNote) { notes.append(note) }
}

/// What an edit does to the inputs of a site.
public enum SiteChange: Sendable, Hashable {
  /// x − shift.
  case shift([Double])
  /// x / divisor; a channel whose divisor is 0 says nothing any more.
  case divide([Double])
  /// x·Q.
  case rotate(HadamardRotation)
}

/// One entry of an edit's log.
public struct EditNote: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    /// A scale was taken over by a neighbour; exact.
    case folded
    /// A scale stays at run time as an input transform; exact, at a price.
    case transformed
    /// A rotation was folded into weights; exact.
    case rotated
    /// Left alone, and why.
    case left
    /// The head is stored apart from the embedding from now on.
    case untied
  }

  public let kind: Kind
  /// The site, norm or tensor.
  public let subject: String
  public let detail: String

  public init(_ kind: Kind, _ subject: String, _ detail: String) {
    self.kind = kind
    self.subject = subject
    self.detail = detail
  }
}
