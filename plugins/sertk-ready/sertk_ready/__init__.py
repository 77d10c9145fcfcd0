"""Trained models that `sertk predict` takes by name; `recipes/ready` makes them."""

from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).parent / "models"


def small() -> Path:
    """Log-mel spectra of acted English sentences (CREMA-D): six emotions and intensity; no download."""
    return MODELS / "small"
