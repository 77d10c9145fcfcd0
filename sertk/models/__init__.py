"""Pooling, fusions, heads and the classifier that joins them."""
