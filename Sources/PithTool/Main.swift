import ArgumentParser
import Foundation
import Pith

/// The program's entry: numeric path, arguments, exit code.
@main
enum Main {
  static func main() {
    // A limit on file sizes is an error to report, not a reason to die.
    signal(SIGXFSZ, SIG_IGN)
    let arguments = Array(CommandLine.arguments.dropFirst())
    // The BLAS library picks its kernels when it is loaded, which is before this line: a better
    // choice means starting again. Commands that compute little are not worth the wait.
    if let first = arguments.first, Self.computing.contains(first), !arguments.contains("--help") {
      NumericPath.reexecuteIfFaster(arguments: CommandLine.arguments)
    }
    do {
      var command = try PithCommand.parseAsRoot(arguments)
      try command.run()
    } catch {
      ExitStatus.exit(for: error)
    }
  }

  private static let computing: Set<String> = [
    "compress", "validate", "plan", "evaluate", "generate", "calibrate", "compare",
    "search",
  ]
}
