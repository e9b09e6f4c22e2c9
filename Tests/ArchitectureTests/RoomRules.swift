/// Reads the plan of the house, the manifest and imports as text, and compares them.
enum RoomRules {
  /// The floor of each room in the page's table: rows of "| floor | `Room`, `Room` | …".
  static func floors(ofPage page: String) -> [String: Int] {
    var result: [String: Int] = [:]
    for line in page.split(separator: "\n") where line.hasPrefix("| ") {
      let cells = line.split(separator: "|", omittingEmptySubsequences: true)
      guard cells.count >= 2, let floor = Int(cells[0].trimmed) else { continue }
      for name in cells[1].split(separator: "`")
      where name.allSatisfy({ $0.isLetter || $0.isNumber }) {
        result[String(name)] = floor
      }
    }
    return result
  }

  /// The declared dependencies of each target that lives in Sources/.
  static func dependencies(ofManifest manifest: String) -> [String: Set<String>] {
    var result: [String: Set<String>] = [:]
    let text = manifest.split(separator: "// MARK: Tests").first.map(String.init) ?? manifest
    let declaration =
      /(?:room\(\s*|(?:systemLibrary|target|executableTarget)\(\s*name: )"(\w+)"(?s)(.*?)(?=room\(|\.systemLibrary\(|\.target\(|\.executableTarget\(|$)/
    for match in text.matches(of: declaration) {
      var names: Set<String> = []
      for name in match.2.matches(of: /"(\w+)"/) { names.insert(String(name.1)) }
      result[String(match.1)] = names
    }
    // Package names and system packages stand in strings too; only rooms are arrows.
    return result.mapValues { $0.intersection(result.keys) }
  }

  /// The modules that a source file imports.
  static func imports(of source: String) -> Set<String> {
    var result: Set<String> = []
    for line in source.split(separator: "\n") {
      guard
        let match = line.firstMatch(
          of:
            /^\s*(?:@\w+\s+)*(?:public |internal |private )?import (?:struct |enum |class |func )?(\w+)/
        )
      else { continue }
      result.insert(String(match.1))
    }
    return result
  }

  /// What is wrong, a sentence each.
  static func violations(
    floors: [String: Int], dependencies: [String: Set<String>], imports: [String: Set<String>]
  ) -> [String] {
    var result: [String] = []
    for (room, needed) in dependencies.sorted(by: { $0.key < $1.key }) {
      guard let floor = floors[room] else {
        result.append("'\(room)' is not in the table of docs/architecture.md")
        continue
      }
      for other in needed.sorted() {
        guard let below = floors[other], below >= floor else { continue }
        result.append("Package.swift: '\(room)' (floor \(floor)) depends on '\(other)' (\(below))")
      }
      for other in imports[room, default: []].sorted() where floors[other] != nil {
        guard !needed.contains(other) else { continue }
        result.append("Sources/\(room) imports '\(other)', which Package.swift does not declare")
      }
    }
    return result
  }
}

extension Substring {
  fileprivate var trimmed: String {
    String(drop { $0 == " " }).reversed().drop { $0 == " " }.reversed().map(String.init).joined()
  }
}
