import Allocation
import Testing

@Suite("Allocation rules")
struct AllocationRuleTests {
  @Test("Erdős–Rényi densities of the worked example, and all together")
  func erdosRenyi() {
    let shapes = [[64, 3, 3, 3], [128, 64, 3, 3], [256, 128, 3, 3], [10, 256]]
    let found = ErdosRenyi.densities(shapes: shapes, density: 0.1)
    for (value, expected) in zip(found, [1, 0.15074, 0.07423, 1]) {
      #expect(abs(value - expected) < 1e-5)
    }
    let counts = shapes.map { Double($0.reduce(1, *)) }
    let kept = zip(found, counts).reduce(0) { $0 + $1.0 * $1.1 }
    #expect(abs(kept / counts.reduce(0, +) - 0.1) < 1e-12)
    #expect(ErdosRenyi.densities(shapes: shapes, density: 1).allSatisfy { $0 == 1 })
  }
}
