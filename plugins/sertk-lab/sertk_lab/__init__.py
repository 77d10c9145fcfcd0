"""Baselines, cross-corpus matrices, ablations and plans."""
