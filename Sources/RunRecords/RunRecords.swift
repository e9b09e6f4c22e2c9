// The room RunRecords; see docs/architecture.md.
