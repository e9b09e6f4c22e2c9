// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that users of the library never build it.
let package = Package(
  name: "PithBenchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Pith", path: "..")],
  targets: [
    .executableTarget(
      name: "PithBenchmarks", dependencies: [.product(name: "Pith", package: "Pith")],
      swiftSettings: [.swiftLanguageMode(.v6)])
  ]
)
