"""Ablations and plans: what a recipe compares, and what it will take."""
