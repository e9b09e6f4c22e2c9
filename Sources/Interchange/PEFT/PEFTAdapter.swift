import Tensors
import Weights

/// A LoRA adapter as the `peft` package stores it: a pair of factors for each of some modules.
public struct PEFTAdapter: Sendable {
  /// The factors of one linear layer, ΔW = scale · B · A.
  public struct Module: Sendable {
    /// The layer's name in the model: "model.layers.0.self_attn.q_proj".
    public var name: String
    /// r × in.
    public var a: Tensor
    /// out × r.
    public var b: Tensor
    /// alpha / r, or alpha / √r under rank-stabilised scaling.
    public var scale: Double

    public var rank: Int { a.shape.dimensions[0] }

    /// The name's last component, by which `target_modules` may call the layer.
    var leaf: String { PEFTAdapter.leaf(of: name) }

    public init(name: String, a: Tensor, b: Tensor, scale: Double = 1) {
      self.name = name
      self.a = a
      self.b = b
      self.scale = scale
    }

    /// The module as a path of a weight.
    public var path: LowRankPath {
      LowRankPath(
        b: .dense(DenseBase(values: b)), a: .dense(DenseBase(values: a)), scale: Float(scale))
    }
  }

  /// In the order of the file.
  public var modules: [Module]
  /// Whether kernels are stored in × out (GPT-2's Conv1D); A is r × in and B out × r all the same.
  public var fanInFanOut: Bool
  /// What `base_model_name_or_path` says.
  public var basePath: String?

  public init(modules: [Module], fanInFanOut: Bool = false, basePath: String? = nil) {
    self.modules = modules
    self.fanInFanOut = fanInFanOut
    self.basePath = basePath
  }

  /// A layer's name without what it stands in.
  static func leaf(of name: String) -> String {
    name.split(separator: ".").last.map(String.init) ?? name
  }

  static let prefix = "base_model.model."
  static let suffixes = (a: ".lora_A.weight", b: ".lora_B.weight")
  /// The files' names in an adapter's folder.
  public static let configurationName = "adapter_config.json"
  public static let weightsName = "adapter_model.safetensors"
}
