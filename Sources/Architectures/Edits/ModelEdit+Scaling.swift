import Tensors

extension ModelEdit {
  /// Divides a site's inputs by a scale and multiplies its readers' columns with it.
  ///
  /// Where a neighbour takes the inverse the inputs themselves are divided, at no price; otherwise
  /// the readers keep the scale as an input transform. The model computes the same either way.
  ///
  /// - Parameters:
  ///   - readers: the linear layers that read the site.
  ///   - scale: one positive finite number a channel, as `ScaleSource.tied` leaves them.
  ///   - shift: what is subtracted from the inputs before, by channel; only after a norm with a
  ///     bias, and with `compensation`.
  ///   - compensation: by reader's module, W·shift with the weight as it was, which its bias gets.
  mutating public func scale(
    _ site: SiteDescription, readers: [LinearDescription], source: ScaleSource, by scale: [Float],
    shift: [Double]? = nil, compensation: [String: [Double]] = [:]
  ) {
    precondition(scale.count == site.width, "\(scale.count) scales for \(site.width) inputs")
    let factors = scale.map(Double.init)
    let inverse = factors.map { 1 / $0 }
    switch source {
    case .norm(let norm):
      append(.scale(.outer, inverse), to: norm.weight)
      if let bias = norm.bias {
        if let shift { append(.add(shift.map { -$0 }), to: bias) }
        append(.scale(.outer, inverse), to: bias)
      }
      note(EditNote(.folded, site.name, "into \(norm.weight)"))
    case .linear(let linear, let rows):
      var outputs = [Double](repeating: 1, count: linear.outputs)
      for (channel, row) in rows.enumerated() { outputs[row] = inverse[channel] }
      append(.scale(linear.outputAxis, outputs), to: linear.weight)
      if let bias = linear.bias { append(.scale(.outer, outputs), to: bias) }
      note(EditNote(.folded, site.name, "into \(linear.weight)"))
    case .none(let reason):
      for reader in readers { setInputScale(scale, of: reader.weight) }
      note(EditNote(.transformed, site.name, reason))
      return
    }
    if let shift { change(site.name, .shift(shift)) }
    change(site.name, .divide(factors))
    for reader in readers {
      append(.scale(reader.inputAxis, factors), to: reader.weight)
      if let bias = reader.bias, let added = compensation[reader.module] {
        append(.add(added), to: bias)
      }
    }
  }
}

extension LinearDescription {
  /// The extent of the storage that runs along the outputs.
  var outputAxis: TensorOperation.Axis { layout == .outputsFirst ? .outer : .inner }
  /// The extent of the storage that runs along the inputs.
  var inputAxis: TensorOperation.Axis { layout == .outputsFirst ? .inner : .outer }
}
