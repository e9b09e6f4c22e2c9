// The room LinearAlgebra; see docs/architecture.md.
