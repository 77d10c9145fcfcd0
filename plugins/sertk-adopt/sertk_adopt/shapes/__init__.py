"""Shapes of public checkpoints, an adopter each."""
