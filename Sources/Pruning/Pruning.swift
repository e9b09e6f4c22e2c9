// The room Pruning; see docs/architecture.md.
