// swift-tools-version: 6.1
import PackageDescription

// The rooms and their floors are docs/architecture.md; Tests/ArchitectureTests fails on any
// arrow between rooms that is not listed there.

let swiftSettings: [SwiftSetting] = [.swiftLanguageMode(.v6)]

/// A library room: `Sources/<name>`.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

/// The tests of a room: `Tests/<name>Tests`.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: dependencies + ["TestSupport"],
    swiftSettings: swiftSettings)
}

let package = Package(
  name: "Pith",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Pith", targets: ["Pith"]),
    .executable(name: "pith", targets: ["PithTool"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
  ],
  targets: [
    // MARK: Floor 0: system libraries and kernels
    .systemLibrary(
      name: "CHDF5", pkgConfig: "hdf5",
      providers: [.apt(["libhdf5-dev"]), .brew(["hdf5"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas lapacke",
      providers: [.apt(["libopenblas-dev", "liblapacke-dev"]), .brew(["openblas", "lapack"])]),
    .systemLibrary(
      name: "CCrypto", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
    .systemLibrary(
      name: "CPCRE2", pkgConfig: "libpcre2-8",
      providers: [.apt(["libpcre2-dev"]), .brew(["pcre2"])]),
    .systemLibrary(
      name: "CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(name: "Kernels", cxxSettings: [.headerSearchPath(".")]),

    // MARK: Floor 1
    room("Tensors", ["Kernels"]),
    room("Digests", ["CCrypto"]),
    room("JSONText", []),

    // MARK: Floor 2
    room("LinearAlgebra", ["Tensors", "COpenBLAS", "Kernels"]),
    room("Checkpoints", ["Tensors", "JSONText", "CHDF5", "CZlib", "Kernels"]),
    room("Text", ["JSONText", "Tensors", "CPCRE2"]),

    // MARK: Floor 3
    room("Weights", ["Tensors", "LinearAlgebra", "Kernels"]),

    // MARK: Floor 4
    room("Artefacts", ["Tensors", "Digests", "JSONText", "Checkpoints", "Weights"]),
    room(
      "Architectures",
      ["Tensors", "Kernels", "JSONText", "LinearAlgebra", "Checkpoints", "Weights", "Digests"]),

    // MARK: Floor 5: the methods
    room("Quantization", ["Tensors", "LinearAlgebra", "Kernels", "Weights"]),
    room("Pruning", ["Tensors", "LinearAlgebra", "Kernels", "Weights"]),
    room("LowRank", ["Tensors", "LinearAlgebra", "Weights"]),
    room("Allocation", []),
    room(
      "Models",
      [
        "Tensors", "LinearAlgebra", "Kernels", "Checkpoints", "Weights", "Artefacts",
        "Architectures", "JSONText", "Text",
      ]),

    // MARK: Floor 6
    room(
      "Evaluation",
      [
        "Tensors", "Kernels", "Weights", "Checkpoints", "Artefacts", "Architectures", "Models",
        "Text", "JSONText",
      ]),

    room(
      "Interchange",
      [
        "Tensors", "Kernels", "JSONText", "Checkpoints", "Weights", "Artefacts", "Architectures",
      ]),
    room("Objectives", ["Tensors", "Models", "Text"]),
    // MARK: Floor 7
    room(
      "ZerothOrder",
      [
        "Tensors", "Digests", "JSONText", "Checkpoints", "Weights", "Artefacts", "Architectures",
        "Models", "Objectives",
      ]),
    room("Recipes", ["JSONText", "Digests", "CPCRE2", .product(name: "Yams", package: "Yams")]),
    room("RunRecords", ["JSONText"]),

    // MARK: Floor 8
    room(
      "Pipeline",
      [
        "Tensors", "Digests", "JSONText", "LinearAlgebra", "Checkpoints", "Weights", "Artefacts",
        "Architectures", "Quantization", "Pruning", "LowRank", "Allocation", "Models",
        "Objectives", "Evaluation", "ZerothOrder", "Interchange", "Recipes", "RunRecords", "Text",
      ]),
    room("Reports", ["JSONText", "RunRecords"]),

    // MARK: Floor 9
    .target(
      name: "Pith",
      dependencies: [
        "Tensors", "LinearAlgebra", "Checkpoints", "Weights", "Artefacts", "Architectures",
        "Quantization",
        "Pruning", "LowRank", "Allocation", "Models", "Objectives", "Evaluation", "ZerothOrder",
        "Interchange", "Recipes", "RunRecords", "Pipeline", "Reports", "Text",
      ], swiftSettings: swiftSettings),
    .executableTarget(
      name: "PithTool",
      dependencies: [
        "Pith", "JSONText", "Digests",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: swiftSettings),

    // MARK: Tests
    .target(
      name: "TestSupport", dependencies: ["Tensors", "LinearAlgebra"], path: "Tests/TestSupport",
      swiftSettings: swiftSettings),
    tests("Kernels", ["Kernels", "Tensors"]),
    tests("Tensors", ["Tensors"]),
    tests("Digests", ["Digests"]),
    tests("JSONText", ["JSONText"]),
    tests("LinearAlgebra", ["LinearAlgebra", "Tensors"]),
    tests("Checkpoints", ["Checkpoints", "Tensors", "JSONText"]),
    tests("Text", ["Text", "JSONText"]),
    tests("Weights", ["Weights", "Tensors", "LinearAlgebra", "Kernels"]),
    tests(
      "Artefacts",
      [
        "Artefacts", "Weights", "LinearAlgebra", "Checkpoints", "Tensors", "Digests", "JSONText",
      ]),
    tests(
      "Models",
      [
        "Models", "LinearAlgebra", "Kernels", "Architectures", "Checkpoints", "Weights", "Tensors",
        "Text", "JSONText",
      ]),
    tests(
      "Methods",
      [
        "Quantization", "Pruning", "LowRank", "Allocation", "Weights", "Tensors", "LinearAlgebra",
        "Checkpoints", "Kernels",
      ]),
    tests("Allocation", ["Allocation"]),
    tests(
      "Evaluation",
      [
        "Evaluation", "Models", "Architectures", "Quantization", "Checkpoints", "Weights",
        "Tensors", "Text", "JSONText",
      ]),
    tests(
      "Interchange",
      [
        "Interchange", "Artefacts", "Weights", "Checkpoints", "Tensors", "JSONText", "Digests",
        "Kernels",
      ]),
    tests(
      "ZerothOrder",
      [
        "ZerothOrder", "Objectives", "Models", "Architectures", "Artefacts", "Quantization",
        "Checkpoints", "Weights", "Tensors", "Text", "JSONText", "Digests",
      ]),
    tests("Recipes", ["Recipes", "JSONText"]),
    tests(
      "Pipeline",
      [
        "Pipeline", "Recipes", "Artefacts", "Architectures", "Checkpoints", "Weights", "Tensors",
        "JSONText", "RunRecords", "Digests", "Models", "Evaluation", "ZerothOrder",
      ]),
    tests("Reports", ["Reports", "RunRecords"]),
    tests("Architecture", []),
    tests("EndToEnd", ["Pith", "JSONText", "Digests", "Interchange"]),
  ],
  cxxLanguageStandard: .cxx17
)
