// The room LowRank; see docs/architecture.md.
