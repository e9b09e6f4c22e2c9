import Models
import Tensors

/// KL(teacher ‖ student) per token of some unlabelled windows: the student is to say what the
/// teacher says, whatever the text.
///
/// The teacher is run once over all windows and kept as soft targets (`SoftTargets`), so that a
/// step of tuning costs the student's passes only. The last token of a window, which no next one
/// follows, is left out, as in `pith evaluate`.
public struct Distillation: Objective {
  public let name = "kl"
  public let windows: [[Int32]]
  public var count: Int { windows.count }
  private let targets: SoftTargets
  /// The first of each window's rows among the targets.
  private let offsets: [Int]

  /// Runs the teacher.
  ///
  /// - Parameters:
  ///   - student: the model whose head the targets are for; its head must not change later.
  ///   - progress: told how many windows are done.
  /// - Throws: `ObjectivesError.noExamples`, and what running the teacher throws.
  public init(
    windows: [[Int32]], source: String, teacher: LanguageModel, student: LanguageModel,
    progress: (Int) -> Void = { _ in }
  ) throws {
    let windows = windows.filter { $0.count > 1 }
    guard !windows.isEmpty else { throw ObjectivesError.noExamples(source: source) }
    self.windows = windows
    var offsets = [0]
    var parts: [SoftTargets] = []
    var first = 0
    while first < windows.count {
      var (last, rows) = (first, 0)
      while last < windows.count, last == first || rows + windows[last].count <= Self.batchRows {
        rows += windows[last].count
        last += 1
      }
      let batch = TokenBatch(windows[first..<last].map { Array($0.dropLast()) })
      let hidden = try teacher.hiddenStates(of: batch)
      parts.append(try student.softTargets(from: teacher, hidden: hidden))
      for window in windows[first..<last] { offsets.append((offsets.last ?? 0) + window.count - 1) }
      first = last
      progress(last)
    }
    targets = SoftTargets(joining: parts, width: parts.first?.means.columns ?? 0)
    self.offsets = offsets
  }

  /// Tokens that go through the teacher at once.
  static let batchRows = 4096

  /// The bytes that the teacher's word takes.
  public var targetBytes: Int { targets.byteCount }

  public func sequences(_ examples: [Int]) -> [[Int32]] {
    examples.map { Array(windows[$0].dropLast()) }
  }

  public func loss(
    _ model: LanguageModel, hidden: Matrix<Float>, batch: TokenBatch, examples: [Int]
  ) throws -> LossSum {
    let found = try model.divergences(of: hidden, from: targets, rows: rows(of: examples))
    return LossSum(sum: found.reduce(0, +), count: found.count)
  }

  public func losses(_ model: LanguageModel, _ sides: [ObjectiveSide]) throws -> [LossSum] {
    try jointLosses(model, sides) { sides in
      try model.divergences(
        of: sides.map(\.hidden), from: targets, rows: sides.map { rows(of: $0.examples) }
      ).map { LossSum(sum: $0.reduce(0, +), count: $0.count) }
    }
  }

  private func rows(of examples: [Int]) -> [Int] {
    examples.flatMap { Array(offsets[$0]..<offsets[$0 + 1]) }
  }
}
