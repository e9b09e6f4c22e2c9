import JSONText
import Tensors

/// What a Keras variable is to its layer, found from the layer's class where the file tells it.
struct KerasLayers {
  /// Which axes of a kernel are the layer's outputs.
  enum Layout: Hashable {
    /// The last axis, all others are inputs.
    case outputsLast
    /// Several axes, as the projections of an attention layer have.
    case outputAxes([Int])
    /// Not known, or not a matrix from inputs to outputs.
    case unknown
  }

  /// Class names in Keras's own spelling, by the layers' names in the configuration.
  private var classes: [String: String] = [:]
  /// Equations of EinsumDense layers, by the layers' names.
  private var equations: [String: String] = [:]

  /// - Parameter configuration: config.json or `model_config`; nil where only weights were saved.
  init(configuration: String?) {
    guard let configuration, let document = try? JSONParser.parse(configuration) else { return }
    gather(document)
  }

  private mutating func gather(_ value: JSONValue) {
    if let array = value.array {
      for element in array { gather(element) }
    } else if let object = value.object {
      if let name = object["config"]?["name"]?.string, let kind = object["class_name"]?.string {
        // Layers of different models may have the same name; then neither is trusted.
        classes[name] = classes[name] == nil || classes[name] == kind ? kind : ""
        equations[name] = object["config"]?["equation"]?.string
      }
      for member in object.members { gather(member.value) }
    }
  }

  /// A class's name as Keras makes a layer's name from it: "DepthwiseConv2D" → "depthwise_conv2d".
  static func snakeCase(_ name: String) -> String {
    var result = ""
    var previous: Character?
    let characters = Array(name)
    for (index, character) in characters.enumerated() {
      let next = index + 1 < characters.count ? characters[index + 1] : nil
      if character.isUppercase, let previous,
        previous.isLowercase || (next?.isLowercase == true && previous.isUppercase)
      {
        result += "_"
      }
      result += character.lowercased()
      previous = character
    }
    return result
  }

  /// The class of a layer, in snake case, from its name; "" when nothing tells it.
  ///
  /// Names that Keras chose are the class's own, with a number when there are several.
  func layerClass(named name: String, group: String) -> String {
    if let kind = classes[name], !kind.isEmpty { return Self.snakeCase(kind) }
    for candidate in [name, group].map(Self.withoutNumber) where Self.variables[candidate] != nil {
      return candidate
    }
    return ""
  }

  private static func withoutNumber(_ name: String) -> String {
    guard let underscore = name.lastIndex(of: "_"),
      name[name.index(after: underscore)...].allSatisfy(\.isNumber)
    else { return name }
    return String(name[..<underscore])
  }

  /// The variables of the classes whose kernels are understood, in Keras's order.
  private static let variables: [String: [String]] = {
    let kernel = ["kernel", "bias"]
    let cell = ["kernel", "recurrent_kernel", "bias"]
    let separable = ["depthwise_kernel", "pointwise_kernel", "bias"]
    return [
      "dense": kernel, "conv1d": kernel, "conv2d": kernel, "conv3d": kernel,
      "einsum_dense": kernel, "embedding": ["embeddings"], "lstm_cell": cell, "gru_cell": cell,
      "simple_rnn_cell": cell, "separable_conv1d": separable, "separable_conv2d": separable,
    ]
  }()

  /// A variable's name from its number in the layer.
  func variable(_ index: Int, of layerClass: String) -> String {
    guard let names = Self.variables[layerClass], names.indices.contains(index) else { return "" }
    return names[index]
  }

  /// Where a variable's outputs are.
  func layout(variable: String, of layerClass: String, named name: String, shape: Shape) -> Layout {
    guard shape.rank >= 2 else { return .unknown }
    switch (layerClass, variable) {
    case ("dense", "kernel"): return shape.rank == 2 ? .outputsLast : .unknown
    case ("conv1d", "kernel"): return shape.rank == 3 ? .outputsLast : .unknown
    case ("conv2d", "kernel"): return shape.rank == 4 ? .outputsLast : .unknown
    case ("conv3d", "kernel"): return shape.rank == 5 ? .outputsLast : .unknown
    case ("separable_conv1d", "pointwise_kernel"), ("separable_conv2d", "pointwise_kernel"),
      ("lstm_cell", "kernel"), ("lstm_cell", "recurrent_kernel"), ("gru_cell", "kernel"),
      ("gru_cell", "recurrent_kernel"), ("simple_rnn_cell", "kernel"),
      ("simple_rnn_cell", "recurrent_kernel"):
      return .outputsLast
    case ("einsum_dense", "kernel"):
      return equations[name].map { Self.layout(equation: $0, rank: shape.rank) } ?? .unknown
    // The projections inside an attention layer, which no configuration lists.
    case ("", "kernel") where ["query", "key", "value"].contains(name) && shape.rank == 3:
      return .outputAxes([1, 2])
    case ("", "kernel") where name == "attention_output" && shape.rank == 3: return .outputsLast
    case ("", "kernel"): return shape.rank == 2 ? .outputsLast : .unknown
    default: return .unknown
    }
  }

  /// The kernel's axes that an equation "input,kernel->output" keeps.
  private static func layout(equation: String, rank: Int) -> Layout {
    let parts = equation.split(whereSeparator: { ",->".contains($0) }).map(Array.init)
    guard parts.count == 3, parts[1].count == rank else { return .unknown }
    let axes = parts[1].indices.filter { parts[2].contains(parts[1][$0]) }
    // An axis that input, kernel and output share is neither input nor output.
    let isShared = axes.contains { parts[0].contains(parts[1][$0]) }
    guard !isShared, !axes.isEmpty, axes.count < rank else { return .unknown }
    return axes == [rank - 1] ? .outputsLast : .outputAxes(axes)
  }
}
