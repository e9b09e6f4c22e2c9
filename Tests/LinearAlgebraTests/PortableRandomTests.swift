import LinearAlgebra
import Tensors
import TestSupport
import Testing

@Suite("The method pages' generator")
struct PortableRandomTests {
  @Test("Seed 42's first word and first normal numbers")
  func figures() {
    var words = PortableRandom(42)
    #expect(words.word() == 0xBDD7_3226_2FEB_6E95)
    var random = PortableRandom(42)
    let expected = [0.41471975043, 0.65268122215, -0.89188621363, 1.3268335628]
    for (found, value) in zip(random.normal(2, 2).values, expected) {
      #expect(abs(found / value - 1) < 1e-9)
    }
  }

  @Test("A weight's spectrum is the power law")
  func spectrum() throws {
    var random = PortableRandom(1)
    let values = try SVD.exact(random.weight(30, 20)).singularValues
    #expect(abs(values[0] - 1) < 1e-13 && abs(values[9] - 0.199526231496888) < 1e-13)
  }
}
