import Tensors
import Testing

@testable import Weights

@Suite struct ActivationSchemeTests {
  private func rounded(
    _ x: [Float], _ scheme: ActivationScheme, width: Int? = nil
  ) -> [Float] {
    var x = x
    let width = width ?? x.count
    x.withUnsafeMutableBufferPointer {
      guard let base = $0.baseAddress else { return }
      scheme.apply(base, rows: $0.count / width, width: width)
    }
    return x
  }

  @Test func valuesOfFormatsWithTiesToEven() {
    // The largest value makes the scale 1, so that the grid shows itself.
    #expect(
      rounded(
        [6, 0.25, 0.26, 0.74, 0.75, 1.25, 1.74, 1.75, 2.5, 3.49, 3.5, 5, 5.1, -0.75],
        ActivationScheme(format: .fp4E2M1))
        == [6, 0, 0.5, 0.5, 1, 1, 1.5, 2, 2, 3, 4, 4, 6, -1])
    #expect(
      rounded([448, 17, 19, 0x1p-10, 0x1.8p-10, 447], ActivationScheme(format: .fp8E4M3))
        == [448, 16, 20, 0, 0x1p-9, 448])
    #expect(
      rounded([57344, 9, 11, 0x1p-17, 0x1.8p-17], ActivationScheme(format: .fp8E5M2))
        == [57344, 8, 12, 0, 0x1p-16])
    #expect(
      rounded([127, 0.5, 1.5, -2.5, 3.2], ActivationScheme(format: .int8)) == [127, 0, 2, -2, 3])
    #expect(
      rounded([0, 255, 0.5, 1.5], ActivationScheme(format: .int8, symmetric: false))
        == [0, 255, 0, 2])
    // MX: amax 5 gives the exponent of 4, so that 6 is the end and 5 a tie of 4 and 6.
    #expect(
      rounded(
        [5, 0.3, -7.9], ActivationScheme(format: .fp4E2M1, granularity: .block(2), scale: .e8m0))
        == [4, 0.5, -6])
  }

  @Test func aRangeKnownBeforehandSaturates() {
    let scheme = ActivationScheme(format: .int8, granularity: .tensor(maximum: 12.7))
    let x: [Float] = [1e30, -40, 0.1, 0.04]
    let y = rounded(x, scheme)
    #expect(abs(y[0] - 12.7) < 1e-5 && abs(y[1] + 12.7) < 1e-5)
    #expect(abs(y[2] - 0.1) < 1e-6 && y[3] == 0)
  }

  /// The finer the scale reaches, the smaller the loss; the coarse ones miss the bar.
  @Test func scalesPerTokenAndBlockLoseLess() {
    let (rows, width) = (32, 128)
    var x = Philox(seed: 3).normals(count: rows * width, tensor: 0, purpose: .perturbation)
    // Tokens of unequal size, and one loud channel.
    for row in 0..<rows {
      for column in 0..<width { x[row * width + column] *= Float(row % 8 + 1) / 8 }
      x[row * width + 5] *= 20
    }
    let maximum = x.map(abs).max() ?? 0
    func error(_ granularity: ActivationScheme.Granularity) -> Float {
      let y = rounded(x, .init(format: .int4, granularity: granularity), width: width)
      let (lost, all) = zip(x, y).reduce((Float(0), Float(0))) {
        ($0.0 + ($1.0 - $1.1) * ($1.0 - $1.1), $0.1 + $1.0 * $1.0)
      }
      return lost / all
    }
    let (tensor, token, block) = (
      error(.tensor(maximum: maximum)), error(.token), error(.block(16))
    )
    #expect(token < 0.6 * tensor)
    #expect(block < 0.35 * token)
  }

  @Test func columnsKeptAsOutliersAreExactAndDoNotCount() throws {
    let (rows, width) = (8, 64)
    var values = Philox(seed: 4).normals(count: rows * width, tensor: 0, purpose: .perturbation)
    for row in 0..<rows { values[row * width + 9] = 0 }
    let column = Matrix<Float>(rows: rows, columns: 1, values: Array(repeating: 0.5, count: rows))
    let scheme = ActivationScheme(format: .int8)
    var weight = CompressedWeight(
      view: WeightView(sourceShape: [rows, width], layout: .outputsFirst),
      base: .dense(
        DenseBase(values: Tensor(dtype: .f32, shape: [rows, width], array: values))),
      outliers: Outliers(columns: [9], values: column, as: .f32))
    var x = Matrix<Float>(
      rows: 4, columns: width,
      values: Philox(seed: 4).normals(count: 4 * width, tensor: 1, purpose: .perturbation))
    for row in 0..<4 { x[row, 9] = 300 }
    let exact = weight.multiplied(by: x)
    weight.site = Site(activations: scheme)
    func worst(_ y: Matrix<Float>) -> Float {
      zip(y.values, exact.values).map { abs($0 - $1) }.max() ?? 0
    }
    #expect(worst(weight.multiplied(by: x)) < 0.2)
    // Without columns of their own the loud input leaves the others one or two steps.
    weight.outliers = nil
    for row in 0..<rows { values[row * width + 9] = 0.5 }
    weight.base = .dense(
      DenseBase(values: Tensor(dtype: .f32, shape: [rows, width], array: values)))
    #expect(worst(weight.multiplied(by: x)) > 2)
  }

  @Test func attributesComeBackAndWrongOnesAreNamed() throws {
    let schemes: [ActivationScheme] = [
      .mxfp4, .nvfp4, .init(format: .int4, symmetric: false, clip: 0.9),
      .init(format: .fp8E5M2, granularity: .tensor(maximum: 3.25)),
    ]
    for scheme in schemes {
      #expect(try ActivationScheme.reading(scheme.attributes) == scheme)
      var attributes = scheme.attributes
      attributes["activation_format"] = .string("int9")
      #expect(throws: WeightsError.self) { try ActivationScheme.reading(attributes) }
      attributes = scheme.attributes
      attributes["activation_clip"] = nil
      #expect(throws: WeightsError.missingAttribute(part: "", name: "activation_clip")) {
        try ActivationScheme.reading(attributes)
      }
    }
    for (scheme, text) in [
      (ActivationScheme(format: .fp8E4M3, symmetric: false), "zero point"),
      (ActivationScheme(format: .int8, granularity: .tensor(maximum: .nan)), "finite"),
      (ActivationScheme(format: .fp4E2M1, scale: .e4m3), "block"),
      (ActivationScheme(format: .int8, clip: 0), "clip"),
    ] {
      let error = #expect(throws: WeightsError.self) { try scheme.validate() }
      #expect("\(error.map { "\($0)" } ?? "")".contains(text))
    }
    #expect(
      try ActivationScheme(named: "fp4/g32") == .init(format: .fp4E2M1, granularity: .block(32)))
    #expect(try ActivationScheme(named: "int4/asym").symmetric == false)
    #expect(throws: WeightsError.activationText("int9")) { try ActivationScheme(named: "int9") }
  }
}
