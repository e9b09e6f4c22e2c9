import Architectures
import Models
import Tensors
import Testing

@Suite struct FamilyTests {
  @Test(arguments: Golden.families)
  func hiddenStatesAndLogitsEqualTransformers(_ name: String) throws {
    let golden = try Golden(name)
    let model = try LanguageModel(golden.weights)
    let hidden = try model.hiddenStates(of: TokenBatch(golden.sequences))
    let hiddenError = relativeError(hidden, golden.hidden)
    print(name, "hidden", hiddenError)
    // OPT's own last hidden state is taken before the projection to the embedding's width.
    #expect(hiddenError < 2e-6)
    guard let logits = golden.logits else {
      #expect(model.description.head == nil)
      return
    }
    let logitsError = relativeError(try model.logits(of: hidden), logits)
    print(name, "logits", logitsError)
    #expect(logitsError < 2e-6)
  }
}
