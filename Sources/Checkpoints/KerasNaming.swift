import Tensors

/// How the names of Keras's datasets lead to layers and variables.
enum KerasNaming {
  /// The tensor with what its layer's class tells of it.
  static func described(
    _ tensor: TensorDescription, _ layers: KerasLayers, root: HDF5Group
  ) -> TensorDescription {
    var attributes = tensor.attributes
    let parts = tensor.name.split(separator: "/").map(String.init)
    if parts.first == "optimizer" || parts.first == "optimizer_weights" {
      attributes["role"] = .string("optimizer")
    } else if let place = place(parts, layers, root: root) {
      let (name, layerClass, variable) = place
      if layerClass == "embedding" || variable == "embeddings" {
        attributes["role"] = .string("embedding")
      }
      switch layers.layout(variable: variable, of: layerClass, named: name, shape: tensor.shape) {
      case .unknown: break
      case .outputsLast: attributes["layout"] = .string("outputs_last")
      case .outputAxes(let axes):
        attributes["layout"] = .string("output_axes")
        attributes["output_axes"] = .ints(axes)
      }
    }
    return TensorDescription(
      name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, storage: tensor.storage,
      sharesStorageWith: tensor.sharesStorageWith, attributes: attributes)
  }

  /// The parts of an attention layer, which no configuration lists.
  private static let projections: Set = ["query", "key", "value", "attention_output"]

  /// The innermost layer's name and class, and the variable's name.
  private static func place(
    _ parts: [String], _ layers: KerasLayers, root: HDF5Group
  ) -> (name: String, layerClass: String, variable: String)? {
    guard parts.count >= 2, let last = parts.last else { return nil }
    // Keras 3: …/<layer>/vars/<number>; the group's attribute has the layer's own name.
    if parts[parts.count - 2] == "vars", let index = Int(last) {
      let group = parts.count >= 3 ? parts[parts.count - 3] : ""
      let vars = root.group(parts.dropLast().joined(separator: "/"))
      let name = vars?.attributes["name"]?.string ?? group
      let layerClass = layers.layerClass(named: name, group: group)
      // An unlisted layer with a kernel of three axes is an attention's projection.
      let isProjection = layerClass.isEmpty && group.hasSuffix("_dense") && index == 0
      let variable = isProjection ? "kernel" : layers.variable(index, of: layerClass)
      return (name, layerClass, variable)
    }
    // Legacy: model_weights/<layer>/…/<layer>/<variable>, of old with ":0" at its end.
    let variable = last.split(separator: ":").first.map(String.init) ?? last
    for name in parts.dropLast().reversed() {
      let layerClass = layers.layerClass(named: name, group: name)
      if !layerClass.isEmpty || projections.contains(name) { return (name, layerClass, variable) }
    }
    return (parts[parts.count - 2], "", variable)
  }
}

extension HDF5Child {
  /// The group that the child is.
  var group: HDF5Group? {
    if case .group(let group) = content { group } else { nil }
  }
}
