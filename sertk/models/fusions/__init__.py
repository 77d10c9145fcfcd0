"""Core's fusions: one module each, registered by name in pyproject.toml."""
