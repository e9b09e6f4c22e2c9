import Tensors

/// What an export may do.
public struct ExportOptions: Sendable {
  /// Whether a weight without an exact form is rounded again, and the error reported.
  public var allowRequantize: Bool
  /// The type of values that are stored plainly; nil keeps each tensor's own.
  public var dtype: DType?
  /// The most bytes that the process may take; nil for no cap.
  public var memoryLimit: Int?

  public init(
    allowRequantize: Bool = false, dtype: DType? = nil, memoryLimit: Int? = nil
  ) {
    self.allowRequantize = allowRequantize
    self.dtype = dtype
    self.memoryLimit = memoryLimit
  }
}

/// The layouts of other tools that are folders of safetensors.
public enum FolderFormat: String, Sendable, CaseIterable {
  /// Dense tensors, as transformers loads them.
  case huggingFace = "hf"
  /// compressed-tensors: vLLM and transformers.
  case compressedTensors = "compressed-tensors"
  /// GPTQ with the zero point stored less one.
  case gptq
  /// GPTQ with zero points as they are.
  case gptqV2 = "gptq-v2"
  /// AutoAWQ's GEMM layout.
  case awq

  /// What people call it.
  public var title: String {
    switch self {
    case .huggingFace: "a Hugging Face folder"
    case .compressedTensors: "compressed-tensors"
    case .gptq: "GPTQ"
    case .gptqV2: "GPTQ v2"
    case .awq: "AWQ"
    }
  }
}
