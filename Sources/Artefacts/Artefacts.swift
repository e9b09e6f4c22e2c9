// The room Artefacts; see docs/architecture.md.
