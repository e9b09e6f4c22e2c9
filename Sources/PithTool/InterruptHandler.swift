import Foundation
import Pith

/// Turns Ctrl-C and a polite kill into a safe stop.
enum InterruptHandler {
  /// The request that the signal sets; a run looks at it between pieces of work.
  static let interruption = Interruption()

  static func install() {
    // Made here, not in the handler, where making an object is not safe.
    _ = interruption
    // A parent may have started us with these signals blocked, as some test runners do.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    for number in [SIGINT, SIGTERM] {
      signal(number) { received in
        // The second time the user means it.
        if InterruptHandler.interruption.isRequested {
          signal(received, SIG_DFL)
          raise(received)
        }
        InterruptHandler.interruption.request()
      }
    }
  }
}
