import Architectures
import JSONText

extension Plan {
  /// What was done to the model around its weights, a sentence each.
  var editNotes: [String] {
    edits.flatMap(\.notes).map { "\($0.kind.rawValue) \($0.subject): \($0.detail)" }
  }

  /// The edits as an artefact keeps them: the log, and the tensors that are not the model's any
  /// more; nil when there were none.
  var editSummary: String? {
    guard edits.contains(where: { !$0.isEmpty }) else { return nil }
    var tensors = JSONObject()
    for name in Set(edits.flatMap { $0.operations.keys }).sorted() {
      let operations = edits.flatMap { $0.operations[name] ?? [] }
      tensors[name] = .array(operations.map { .string($0.summary) })
    }
    var object = JSONObject()
    object["log"] = .array(editNotes.map { .string($0) })
    object["tensors"] = .object(tensors)
    return JSONValue.object(object).text(.canonical)
  }
}
