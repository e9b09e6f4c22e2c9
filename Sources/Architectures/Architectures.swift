// The room Architectures; see docs/architecture.md.
