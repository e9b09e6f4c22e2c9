// The room Evaluation; see docs/architecture.md.
