"""Scores against labels and votes, with intervals."""
