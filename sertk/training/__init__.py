"""Losses, regularizers, metrics, evaluation and the training loop."""
