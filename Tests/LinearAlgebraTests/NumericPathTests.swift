import Testing

@testable import LinearAlgebra

@Suite("Numeric path and fingerprint")
struct NumericPathTests {
  private let avx512: Set<String> = [
    "avx2", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl",
  ]
  private let build = "OpenBLAS 0.3.21 DYNAMIC_ARCH Haswell"

  private func recommendation(
    core: String = "Haswell", build: String? = nil, environment: [String: String] = [:],
    flags: Set<String>
  ) -> String? {
    NumericPath.recommendation(
      coreName: core, configuration: build ?? self.build, environment: environment,
      processorFlags: flags)
  }

  @Test("AVX-512 under kernels that do not use it asks for those that do")
  func rule() {
    #expect(recommendation(flags: avx512) == "SkylakeX")
    #expect(recommendation(core: "Zen", flags: avx512) == "SkylakeX")
    #expect(recommendation(flags: avx512.union(["avx512_bf16"])) == "Cooperlake")
    #expect(recommendation(flags: ["avx2"]) == nil)
    #expect(recommendation(core: "SkylakeX", flags: avx512) == nil)
    #expect(recommendation(build: "OpenBLAS 0.3.21 Haswell", flags: avx512) == nil)
  }

  @Test("A choice made by the user, or by the process before, is never overruled")
  func guards() {
    #expect(recommendation(environment: [NumericPath.variable: "Haswell"], flags: avx512) == nil)
    #expect(recommendation(environment: [NumericPath.marker: "1"], flags: avx512) == nil)
  }

  @Test("The fingerprint names the library, the core type and the architecture")
  func fingerprint() {
    let fingerprint = NumericFingerprint.current
    #expect(fingerprint.openBLAS.contains("OpenBLAS"))
    #expect(!fingerprint.coreType.isEmpty)
    #expect(fingerprint.text.contains(fingerprint.coreType))
    #expect(!fingerprint.text.contains("\n"))
  }
}
