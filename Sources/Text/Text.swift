// The room Text; see docs/architecture.md.
