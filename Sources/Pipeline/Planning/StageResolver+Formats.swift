import Recipes
import Weights

extension StageResolver {
  /// One of ggml's formats, or the one that stands in for it where its blocks do not fit.
  static func blocks(
    _ format: QuantizeOptions.Format, _ view: WeightView, _ tensor: String, _ recipe: Recipe,
    _ notes: inout [String]
  ) throws(PipelineError) -> ResolvedFormat {
    guard let blocks = BlockFormat(rawValue: format.rawValue) else {
      throw .stage(
        file: recipe.file, tensor: tensor, reason: "'\(format.rawValue)' has no blocks")
    }
    if view.columns % blocks.length != 0, recipe.strictGroups {
      throw .strictGroup(tensor: tensor, requested: blocks.length, width: view.columns)
    }
    guard let found = blocks.resolve(columns: view.columns) else {
      throw .stage(
        file: recipe.file, tensor: tensor,
        reason: "blocks of 32 do not divide a width of \(view.columns); "
          + "give this tensor 'bits' by an override, or ignore it")
    }
    if let note = found.note { notes.append(note) }
    return .blocks(found.format)
  }

  /// A recipe's number format as a scheme.
  static func scheme(
    _ format: QuantizeOptions.Format, _ options: QuantizeOptions, granularity: Granularity
  ) throws(WeightsError) -> ResolvedFormat {
    if let planes = format.planes {
      return .planes(
        try PlaneScheme(
          planes: planes, granularity: granularity, scaleType: options.scales.dtype))
    }
    let number: NumberFormat =
      switch format {
      case .mxfp4, .nvfp4: .minifloat(.e2m1)
      case .mxfp6E3M2: .minifloat(.e3m2)
      case .mxfp6E2M3: .minifloat(.e2m3)
      case .mxfp8E4M3: .minifloat(.e4m3)
      case .mxfp8E5M2: .minifloat(.e5m2)
      case .mxint8: .fixedPoint8
      default:
        try NumberFormat(name: format.rawValue, exponent: options.exponent.map(Float.init))
      }
    let packing: CodePacking =
      switch options.packing {
      case nil, .stream: .stream
      case .split: .split
      case .trits: .trits
      }
    let scales: ScaleFormat =
      switch options.scales {
      case .f16: .f16
      case .bf16: .bf16
      case .f32: .f32
      case .e8m0: .e8m0
      case .e4m3: .e4m3
      case .dynamic8: .dynamic8
      case .ratio: .ratio
      }
    let grid = try TableGrid(
      format: number, granularity: granularity, scaleFormat: scales, packing: packing)
    let rule: ScaleRule? =
      switch options.rule {
      case nil: format.scales == .e8m0 ? .floor : nil
      case .absmax: .absmax
      case .absmean: .absmean
      case .floor: .floor
      case .roundUp: .roundUp
      }
    let scheme = try TableScheme(
      grid, rule: rule, clip: options.clip == .mse ? .meanSquare() : .none)
    if case .power = number, options.exponent == nil { return .fittedPower(scheme) }
    return .table(scheme)
  }
}
