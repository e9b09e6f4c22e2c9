extension Preset {
  /// Every preset, in the order that help lists them.
  public static let all: [Preset] = [
    Preset(
      name: "w8", file: "recipes/w8-rtn.yaml",
      text: """
        version: 1
        name: w8-rtn
        description: 8 bits, rounded to nearest; practically lossless
        stages:
          - quantize: {method: rtn, bits: 8, group: 128}

        """),
    Preset(
      name: "w4", file: "recipes/w4-rtn.yaml",
      text: """
        version: 1
        name: w4-rtn
        description: 4 bits in groups of 128, ranges chosen for the least squared error
        stages:
          - quantize: {method: rtn, bits: 4, group: 128, clip: mse}

        """),
    Preset(
      name: "w4-g32", file: "recipes/w4-g32-rtn.yaml",
      text: """
        version: 1
        name: w4-g32-rtn
        description: 4 bits in groups of 32; half a bit more for the scales, a smaller error
        stages:
          - quantize: {method: rtn, bits: 4, group: 32, clip: mse}

        """),
    Preset(
      name: "w3", file: "recipes/w3-rtn.yaml",
      text: """
        version: 1
        name: w3-rtn
        description: 3 bits in groups of 64
        stages:
          - quantize: {method: rtn, bits: 3, group: 64, symmetric: false, clip: mse}

        """),
    Preset(
      name: "w2", file: "recipes/w2-rtn.yaml",
      text: """
        version: 1
        name: w2-rtn
        description: 2 bits in groups of 32; the loss is large without a repair
        stages:
          - quantize: {method: rtn, bits: 2, group: 32, symmetric: false, clip: mse}

        """),
    Preset(
      name: "w4-gptq", file: "recipes/w4-gptq.yaml",
      text: """
        version: 1
        name: w4-gptq
        description: 4 bits in groups of 128 by GPTQ, the loudest inputs first, scales fitted again
        stages:
          - quantize: {method: gptq, bits: 4, group: 128, symmetric: false, clip: mse, order: activation}

        """),
    Preset(
      name: "w3-learned", file: "recipes/w3-learned.yaml",
      text: """
        version: 1
        name: w3-learned
        description: 3 bits in groups of 128, GPTQ's codes and scales moved in turn to where the layer's error is less
        stages:
          - quantize: {method: gptq, bits: 3, group: 128, symmetric: false, clip: mse, order: activation, rounding: learned}

        """),
    Preset(
      name: "w4-svd", file: "recipes/w4-rtn-svd.yaml",
      text: """
        version: 1
        name: w4-rtn-svd
        description: 4 bits, then a path of rank 16 that repairs what they lost
        stages:
          - quantize: {method: rtn, bits: 4, group: 128, clip: mse}
          - low_rank: {method: svd, of: error, rank: 16}

        """),
    Preset(
      name: "svd-w4", file: "recipes/svd-w4.yaml",
      text: """
        version: 1
        name: svd-w4
        description: the leading 16 singular directions apart, the rest in 4 bits
        stages:
          - low_rank: {method: svd, of: weight, rank: 16}
          - quantize: {method: rtn, bits: 4, group: 128, clip: mse}

        """),
    Preset(
      name: "sparse50", file: "recipes/sparse50-magnitude.yaml",
      text: """
        version: 1
        name: sparse50-magnitude
        description: the smaller half of every weight becomes zero
        stages:
          - prune: {method: magnitude, sparsity: 0.5}

        """),
    Preset(
      name: "sparse24", file: "recipes/sparse24-magnitude.yaml",
      text: """
        version: 1
        name: sparse24-magnitude
        description: of each 4 neighbouring inputs the larger 2 are kept
        stages:
          - prune: {method: magnitude, pattern: "2:4"}

        """),
    Preset(
      name: "w4-sparse50", file: "recipes/sparse50-w4.yaml",
      text: """
        version: 1
        name: sparse50-w4
        description: the smaller half becomes zero, what survives takes 4 bits
        stages:
          - prune: {method: magnitude, sparsity: 0.5}
          - quantize: {method: rtn, bits: 4, group: 128, clip: mse}

        """),
    Preset(
      name: "outliers-w4", file: "recipes/w4-outliers.yaml",
      text: """
        version: 1
        name: w4-outliers
        description: the 1 % of columns with the largest norms stay in f16, the rest takes 4 bits
        stages:
          - outliers: {method: columns, fraction: 0.01}
          - quantize: {method: rtn, bits: 4, group: 128, clip: mse}

        """),
    Preset(
      name: "w4-scaled", file: "recipes/w4-scaled.yaml",
      text: """
        version: 1
        name: w4-scaled
        description: inputs scaled so that the columns are more alike, then 4 bits
        stages:
          - transform: {method: channel_scale, alpha: 0.5}
          - quantize: {method: rtn, bits: 4, group: 128, clip: mse}

        """),
  ]
}
