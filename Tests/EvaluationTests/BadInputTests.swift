import Evaluation
import Foundation
import Models
import TestSupport
import Testing
import Text

@Suite struct BadInputTests {
  private func expect(_ words: String, bytes: [UInt8]) throws {
    try SharedFiles.withTemporaryFolder { folder in
      let path = folder + "/text.txt"
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      do {
        _ = try Nano.windows(text: path)
        Issue.record("no error")
      } catch let error as TextError {
        #expect("\(error)".contains(words) && "\(error)".contains(path))
      }
    }
  }

  @Test func emptyAndBrokenTextsAreNamed() throws {
    for (bytes, words) in [
      ([UInt8](), "holds no text"), (Array("ab".utf8) + [0xFF], "byte 2 is not UTF-8"),
      (Array("short".utf8), "tokens and"),
    ] {
      try expect(words, bytes: bytes)
    }
  }

  @Test func windowsLongerThanThePositionsAreRefused() throws {
    #expect(throws: EvaluationError.lengthExceedsPositions(length: 129, positions: 128)) {
      try Nano.windows(.init(length: 129))
    }
  }

  @Test func aModelWithoutATokenizerSaysSo() throws {
    try SharedFiles.withTemporaryFolder { folder in
      for name in ["config.json", "model.safetensors"] {
        try FileManager.default.copyItem(
          atPath: Nano.folder + "/" + name, toPath: folder + "/" + name)
      }
      let opened = try OpenedModel.open(folder)
      #expect(throws: ModelError.noTokenizer(path: folder)) { try opened.tokenizer() }
    }
  }

  @Test func anHDF5FileWithoutTokensIsRefused() throws {
    #expect(throws: EvaluationError.self) { try Nano.windows(text: Nano.folder + "/model.h5") }
  }
}
