import Foundation
import Pith

/// A text's lines through a tokenizer, one call each, against the `tokenizers` package.
enum TokenizingBenchmarks {
  static func run(_ context: BenchmarkContext) throws {
    let environment = ProcessInfo.processInfo.environment
    guard let model = context.model, let text = environment["PITH_BENCH_TEXT"] else {
      print("  (set PITH_BENCH_MODEL to a folder with a tokenizer.json, PITH_BENCH_TEXT to a text)")
      return
    }
    guard let tokenizer = try Tokenizer.belonging(to: model) else { return }
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: text)))
    let lines = bytes.split(separator: 10, omittingEmptySubsequences: false).map(Array.init)
    let peer = try Peer(
      python: context.python, script: "tokenize_package.py", arguments: [tokenizer.path, text])
    var (ours, plain, batch) = ([Taken](), [Taken](), [Taken]())
    var counts = (ours: 0, theirs: 0)
    for round in 0..<6 {
      var tokens = 0
      let taken = try Taken.by {
        for line in lines { tokens += try tokenizer.encode(utf8: line).count }
      }
      let single = try peer?.ask("encode")
      let many = try peer?.ask("batch")
      counts = (tokens, Int(single?.value ?? 0))
      guard round > 0 else { continue }
      ours.append(taken)
      if let single { plain.append(Taken(wall: single.wall, processor: single.processor)) }
      if let many { batch.append(Taken(wall: many.wall, processor: many.processor)) }
    }
    let mine = Taken.median(ours)
    rate("Pith", bytes.count, counts.ours, mine)
    guard peer != nil else { return }
    rate("tokenizers, encode", bytes.count, counts.theirs, Taken.median(plain))
    let best = Taken.median(batch)
    rate("tokenizers, encode_batch_fast, one thread", bytes.count, counts.theirs, best)
    show(
      "Pith against encode_batch_fast, processor time",
      Format.fixed(best.processor / mine.processor, 1), bar: ">= 1")
    show("tokens, ours and theirs", "\(counts.ours), \(counts.theirs)")
  }

  private static func rate(_ name: String, _ bytes: Int, _ tokens: Int, _ taken: Taken) {
    let seconds = taken.processor
    show(
      name,
      "\(Format.fixed(Double(tokens) / seconds * 1e-6, 2)) M tokens/s, "
        + "\(Format.fixed(Double(bytes) / seconds * 1e-6, 1)) MB/s")
  }
}
