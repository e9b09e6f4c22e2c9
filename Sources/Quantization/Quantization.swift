// The room Quantization; see docs/architecture.md.
