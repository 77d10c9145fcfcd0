"""Ablations: arms and ensembles over members and seeds, and what their differences are worth."""
