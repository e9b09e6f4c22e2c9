import Foundation
import RunRecords
import TestSupport
import Testing

@testable import Reports

@Suite struct HTMLTests {
  @Test func thePageIsKeptLetterByLetter() throws {
    let page = HTMLReport.page(SampleRecord.run())
    let path = SharedFiles.fixture("golden/report.html")
    if ProcessInfo.processInfo.environment["PITH_RECORD"] == "1" {
      try page.write(toFile: path, atomically: true, encoding: .utf8)
      Issue.record("recorded report.html; run again without PITH_RECORD")
    }
    let expected = try String(contentsOfFile: path, encoding: .utf8)
    for (line, (old, new)) in zip(
      expected.components(separatedBy: "\n"), page.components(separatedBy: "\n")
    ).enumerated() where old != new {
      Issue.record("line \(line + 1):\n\(old)\n\(new)")
    }
    #expect(page.utf8.count == expected.utf8.count)
  }

  @Test func thePageNeedsNothingElse() {
    let page = HTMLReport.page(SampleRecord.run())
    for word in ["http", "src=", "href=", "url(", "@import", "<script"] {
      #expect(!page.contains(word), "\(word)")
    }
  }

  @Test func namesAreTextNotMarkup() {
    let page = HTMLReport.page(SampleRecord.run())
    #expect(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
    #expect(page.contains("model.layers.1.&lt;b&gt;.weight"))
    #expect(page.contains("models/&lt;tiny&gt; &amp; co"))
    #expect(HTMLReport.escaped("\"<&>") == "&quot;&lt;&amp;&gt;")
    // With a combining accent behind it, "<" is another character and the same scalar.
    #expect(!HTMLReport.escaped("<\u{301}b>").unicodeScalars.contains("<"))
  }

  @Test func figuresThatAreNoNumbersStillMakeAPage() {
    var record = SampleRecord.run()
    record.tensors[0].error = WeightError(
      relativeFrobenius: .infinity, signalToNoise: -.infinity, maximumAbsolute: 1, cosine: .nan)
    let page = HTMLReport.page(record)
    #expect(page.contains("inf"))
    #expect(!page.contains("width=\"nan\"") && !page.contains("width=\"inf\""))
  }
}
