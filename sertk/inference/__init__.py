"""From recordings, or from stored features, to predictions."""
