// The room Recipes; see docs/architecture.md.
